"""A relay between a process's terminal and our own.

Nothing here blocks on a write. Data that can't be written yet is kept, and no more is read until it
is written, so that signals and the end of the process are noticed meanwhile. When our own terminal,
or the reader of our output, is gone, the process's terminal is hung up too.
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
_WRITTEN_BYTES = select.PIPE_BUF  # a writable pipe has room for so much
_STDIN, _STDOUT = 0, 1
_TIOCGPTPEER = 0x5441
_END_OF_FILE = b"\x04"


class Terminal:
    """The master of a terminal, which the process sends once it has opened the terminal."""

    def __init__(self) -> None:
        self._ours, self._theirs = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
        self._master = self._slave = -1
        self._input = self._output = b""  # data that is not written yet
        self._is_raw = self._reads_input = False
        self._before: list[Any] | None = None

    def receiver(self) -> int:
        """Return the descriptor to which the process sends the master."""
        return self._theirs.fileno()

    def connect(self) -> None:
        """Receive the master, and put our own terminal in raw mode. Raise ContainerError."""
        self._theirs.close()
        _, rights, *_ = self._ours.recvmsg(_READ_BYTES, _RIGHTS_BYTES, MSG_CMSG_CLOEXEC)
        if not rights:
            raise ContainerError("The process did not send its terminal.")
        self._master = int.from_bytes(rights[0][2][:4], "little")
        os.set_blocking(self._master, False)
        # Without an open slave, reads would report an end whenever no process has the terminal
        # open.
        flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
        self._slave = fcntl.ioctl(self._master, _TIOCGPTPEER, flags)
        self.resize()
        self.set_raw()

    def set_raw(self) -> None:
        """Put our own terminal in raw mode, unless it is already, or we are in the background.

        A background process that changes or reads its terminal is stopped. (termios(3),
        tcsetpgrp(3))
        """
        if self._is_raw or _in_background():
            return
        self._is_raw = self._reads_input = True
        try:
            self._before = termios.tcgetattr(_STDIN)
            tty.setraw(_STDIN)
        except termios.error:
            return  # stdin is not a terminal, or was hung up

    def register(self, poll: select.poll) -> None:
        """Register the descriptors that can be read or written next."""
        if self._master < 0:
            return
        if self._reads_input and not self._input:
            poll.register(_STDIN, select.POLLIN)
        if self._output:
            poll.register(_STDOUT, select.POLLOUT)
        events = 0 if self._output else select.POLLIN
        if events := events | (select.POLLOUT if self._input else 0):
            poll.register(self._master, events)

    def copy(self, ready: set[int]) -> None:
        """Read and write as far as that is possible now."""
        if _STDIN in ready:
            self._read_input()
        if self._master in ready and not self._output:
            self._read_output()
        if self._master >= 0 and self._input:
            self._write_input()
        if self._master >= 0 and _STDOUT in ready:
            self._write_output()

    def end(self) -> None:
        """Send no more input: the process has ended, and only its remaining output counts."""
        self._reads_input, self._input = False, b""
        self._close_slave()

    def has_more(self) -> bool:
        """Return True if there is more output."""
        return self._master >= 0 and (bool(self._output) or self._read_output())

    def resize(self) -> None:
        """Give the process's terminal the size of our own."""
        if self._master < 0:
            return
        try:
            size = fcntl.ioctl(_STDIN, termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        except OSError:
            return

    def close(self) -> None:
        """Restore our own terminal, and hang up the process's."""
        if self._before is not None:
            # In the background tcsetattr would stop us; TCSADRAIN could wait for ever.
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

    def _read_input(self) -> None:
        try:
            self._input = os.read(_STDIN, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # EIO: it was hung up
            self._hang_up()
            return
        if not self._input:
            self._reads_input = False
            if self._before is None:
                self._input = _END_OF_FILE  # the input is at its end
            else:
                self._hang_up()

    def _write_input(self) -> None:
        try:
            self._input = self._input[os.write(self._master, self._input) :]
        except BlockingIOError:
            return

    def _read_output(self) -> bool:
        try:
            self._output = os.read(self._master, _READ_BYTES)
        except OSError:  # EAGAIN: no data; EIO: no more data either
            return False
        return bool(self._output)

    def _write_output(self) -> None:
        try:
            written = os.write(_STDOUT, self._output[:_WRITTEN_BYTES])
        except BlockingIOError:
            return
        except OSError:  # EPIPE, EIO: the reader is gone
            self._hang_up()
        else:
            self._output = self._output[written:]

    def _hang_up(self) -> None:
        """Close the terminal: its session gets SIGHUP, and errors when it writes."""
        self._input = self._output = b""
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
        return False  # not a terminal, or not our controlling terminal
