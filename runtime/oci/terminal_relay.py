"""A process's terminal, shown on our own: what is typed goes in, what is printed comes out.

Nothing here waits for a reader. What can't be written on yet is kept, and no more is read before it
is, so that signals and the end of the process are heard meanwhile. If our own terminal or whoever
reads our output has gone, the process's terminal is hung up as well.
"""

from __future__ import annotations

import _signal
import fcntl
import os
import select
import termios
import tty
from _socket import AF_UNIX, MSG_CMSG_CLOEXEC, SOCK_CLOEXEC, SOCK_STREAM, socketpair

from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_READ_BYTES, _RIGHTS_BYTES = 1 << 16, 64
_WRITTEN_BYTES = select.PIPE_BUF  # for so many there is room in a pipe that can be written to
_STDIN, _STDOUT = 0, 1
_TIOCGPTPEER = 0x5441
_END_OF_FILE = b"\x04"


class Terminal:
    """The master of a terminal, which its process sends when it has opened it."""

    def __init__(self) -> None:
        self._ours, self._theirs = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
        self._master = self._slave = -1
        self._typed = self._printed = b""  # and not written on yet
        self._is_ours = self._hears = False
        self._before: list[Any] | None = None

    def receiver(self) -> int:
        """Return the descriptor that the process is to send it to."""
        return self._theirs.fileno()

    def show(self) -> None:
        """Take it, and hand our own over to it. Raise ContainerError."""
        self._theirs.close()
        _, rights, *_ = self._ours.recvmsg(_READ_BYTES, _RIGHTS_BYTES, MSG_CMSG_CLOEXEC)
        if not rights:
            raise ContainerError("The process sent no terminal.")
        self._master = int.from_bytes(rights[0][2][:4], "little")
        os.set_blocking(self._master, False)
        # Without it there would be an end to read whenever no process has the terminal open.
        flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
        self._slave = fcntl.ioctl(self._master, _TIOCGPTPEER, flags)
        self.resize()
        self.take_ours()

    def take_ours(self) -> None:
        """Hand our own over, unless it has been, or we are in its background.

        Who changes or reads a terminal there is stopped. (termios(3), tcsetpgrp(3))
        """
        if self._is_ours or _in_background():
            return
        self._is_ours = self._hears = True
        try:
            self._before = termios.tcgetattr(_STDIN)
            tty.setraw(_STDIN)
        except termios.error:
            return  # stdin is no terminal, or was hung up

    def register(self, poll: select.poll) -> None:
        """Have `poll` wait for what can go on."""
        if self._master < 0:
            return
        if self._hears and not self._typed:
            poll.register(_STDIN, select.POLLIN)
        if self._printed:
            poll.register(_STDOUT, select.POLLOUT)
        events = 0 if self._printed else select.POLLIN
        if events := events | (select.POLLOUT if self._typed else 0):
            poll.register(self._master, events)

    def copy(self, ready: set[int]) -> None:
        """Read and write what can be."""
        if _STDIN in ready:
            self._hear()
        if self._master in ready and not self._printed:
            self._read()
        if self._master >= 0 and self._typed:
            self._type()
        if self._master >= 0 and _STDOUT in ready:
            self._print()

    def end(self) -> None:
        """The process has ended: nothing is typed any more, and what it has printed is the rest."""
        self._hears, self._typed = False, b""
        self._close_slave()

    def has_more(self) -> bool:
        """Return True if there is something to be printed yet."""
        return self._master >= 0 and (bool(self._printed) or self._read())

    def resize(self) -> None:
        """Make it as large as our own."""
        if self._master < 0:
            return
        try:
            size = fcntl.ioctl(_STDIN, termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        except OSError:
            return

    def close(self) -> None:
        """Have our own as it was."""
        if self._before is not None:
            # In the background this would stop us; and what was printed may wait for ever.
            blocked = _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGTTOU})
            try:
                termios.tcsetattr(_STDIN, termios.TCSANOW, self._before)
            except termios.error:
                pass  # it was hung up
            finally:
                _signal.pthread_sigmask(_signal.SIG_SETMASK, blocked)
        self._hang_up()
        self._ours.close()
        self._theirs.close()

    def _hear(self) -> None:
        try:
            self._typed = os.read(_STDIN, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO: it was hung up
            self._hang_up()
            return
        if not self._typed:
            self._hears = False
            if self._before is None:
                self._typed = _END_OF_FILE  # nobody types any more
            else:
                self._hang_up()

    def _type(self) -> None:
        try:
            self._typed = self._typed[os.write(self._master, self._typed) :]
        except BlockingIOError:
            return

    def _read(self) -> bool:
        try:
            self._printed = os.read(self._master, _READ_BYTES)
        except OSError:  # EAGAIN: there is nothing; EIO: nor will there be
            return False
        return bool(self._printed)

    def _print(self) -> None:
        try:
            written = os.write(_STDOUT, self._printed[:_WRITTEN_BYTES])
        except BlockingIOError:
            return
        except OSError:  # EPIPE, EIO: nobody reads any more
            self._hang_up()
        else:
            self._printed = self._printed[written:]

    def _hang_up(self) -> None:
        """Let go of the terminal: its session gets SIGHUP, and errors for what it writes."""
        self._typed = self._printed = b""
        self._close_slave()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def _close_slave(self) -> None:
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1


def _in_background() -> bool:
    try:
        return os.tcgetpgrp(_STDIN) != os.getpgrp()
    except OSError:
        return False  # it is no terminal, or not the one that controls us
