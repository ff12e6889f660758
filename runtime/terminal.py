"""A process's terminal, shown on our own."""

from __future__ import annotations

import fcntl
import os
import select
import termios
import tty
from _socket import AF_UNIX, SOCK_STREAM, socketpair

from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BUFFER_BYTES = 1 << 16
_RIGHTS_BYTES = 64
_STDIN, _STDOUT = 0, 1


class Terminal:
    """The master of a terminal, which its process sends when it has opened it."""

    def __init__(self) -> None:
        self._ours, self._theirs = socketpair(AF_UNIX, SOCK_STREAM)
        self._master = -1
        self._before: list[Any] | None = None

    def receiver(self) -> int:
        """What the process is to send it to."""
        return self._theirs.fileno()

    def show(self) -> None:
        """Take it, and hand our own over to it. Raises ContainerError."""
        self._theirs.close()
        _, rights, *_ = self._ours.recvmsg(_BUFFER_BYTES, _RIGHTS_BYTES)
        if not rights:
            raise ContainerError("The process sent no terminal.")
        self._master = int.from_bytes(rights[0][2][:4], "little")
        os.set_inheritable(self._master, False)
        if os.isatty(_STDIN):
            self._before = termios.tcgetattr(_STDIN)
            self.resize()
            tty.setraw(_STDIN)

    def register(self, poll: select.poll) -> None:
        """What to wait for."""
        poll.register(self._master, select.POLLIN)
        poll.register(_STDIN, select.POLLIN)

    def copy(self, ready: set[int], poll: select.poll) -> None:
        """What is typed goes in, what is printed comes out."""
        if _STDIN in ready:
            typed = os.read(_STDIN, _BUFFER_BYTES)
            if typed:
                _write(self._master, typed)
            else:
                poll.unregister(_STDIN)
                _write(self._master, b"\x04")  # nobody types any more: end of file
        if self._master in ready and not self._print():
            poll.unregister(self._master)

    def drain(self) -> None:
        """What was printed before the end."""
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        while poll.poll(0) and self._print():
            pass

    def resize(self) -> None:
        """Make it as large as our own."""
        try:
            size = fcntl.ioctl(_STDIN, termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        except OSError:
            return

    def close(self) -> None:
        """Have our own as it was."""
        if self._before is not None:
            termios.tcsetattr(_STDIN, termios.TCSADRAIN, self._before)
        if self._master >= 0:
            os.close(self._master)
        self._ours.close()
        self._theirs.close()

    def _print(self) -> bool:
        try:
            printed = os.read(self._master, _BUFFER_BYTES)
        except OSError:  # EIO: nobody has the other end open
            return False
        _write(_STDOUT, printed)
        return bool(printed)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
