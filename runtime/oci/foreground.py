"""Wait for a foreground process: forward signals to it, and connect its terminal to ours."""

from __future__ import annotations

import _signal
import os
import select

from runtime.linux.pidfd import kill, reap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

    from runtime.oci.sd_notify import NotifySocket
    from runtime.oci.terminal_relay import Terminal

# Signals that are not forwarded: they concern our own children and terminal, or can't be caught.
_OWN = {
    _signal.SIGCHLD, _signal.SIGKILL, _signal.SIGSTOP, _signal.SIGTTIN, _signal.SIGTTOU,
    _signal.SIGPIPE, _signal.SIGURG, _signal.SIGWINCH,
}  # fmt: skip
_FIRST_OF_LIBC, _LAST_OF_LIBC = 32, 33


class Foreground:
    """A context manager that catches signals, to forward them."""

    def __init__(self, *, terminal: bool) -> None:
        self._terminal: Terminal | None = None
        if terminal:
            from runtime.oci.terminal_relay import Terminal

            self._terminal = Terminal()

    def receiver(self) -> int | None:
        """Return the descriptor to which the process sends its terminal, if ours shows it."""
        return self._terminal.receiver() if self._terminal else None

    def accompany(self, pid: int, pidfd: int, notify: NotifySocket | None = None) -> int:
        """Wait for a child; return its exit code, or 128 + n if signal n ended it.

        `notify` forwards the messages of a service to systemd.
        """
        if self._terminal:
            self._terminal.connect()
        while pidfd not in (ready := self._wait(pidfd, notify)):
            if self._wakes in ready:
                for number in os.read(self._wakes, 256):
                    self._hand_on(number, pidfd)
            if self._terminal:
                self._terminal.copy(ready)
            if notify:
                notify.forward()
        if notify:
            notify.forward()
        if self._terminal:
            self._show_rest(self._terminal)
        return reap(pid)

    def _wait(self, pidfd: int, notify: NotifySocket | None) -> set[int]:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.register(self._wakes, select.POLLIN)
        if self._terminal:
            self._terminal.register(poll)
        if notify:
            poll.register(notify, select.POLLIN)
        return {descriptor for descriptor, _ in poll.poll()}

    def _show_rest(self, terminal: Terminal) -> None:
        """Show the rest of the output, unless a signal interrupts the wait."""
        terminal.end()
        while terminal.has_more():
            poll = select.poll()
            poll.register(self._wakes, select.POLLIN)
            terminal.register(poll)
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._wakes in ready and set(os.read(self._wakes, 256)) - {_signal.SIGWINCH}:
                break
            terminal.copy(ready)

    def _hand_on(self, number: int, pidfd: int) -> None:
        if number == _signal.SIGWINCH:
            if self._terminal:
                self._terminal.resize()
        else:
            if number == _signal.SIGCONT and self._terminal:
                self._terminal.set_raw()  # a shell has moved us to the foreground
            kill(pidfd, number)

    def __enter__(self) -> Self:
        self._wakes, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._before_fd = _signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        handled = set(_signal.valid_signals()) - _OWN | {_signal.SIGWINCH}
        handled -= {_FIRST_OF_LIBC, _LAST_OF_LIBC}
        self._before = {number: _signal.signal(number, _ignore) for number in handled}
        # Our parent may have blocked them.
        self._blocked = _signal.pthread_sigmask(_signal.SIG_UNBLOCK, handled)
        self._owners = {each: os.fstat(each).st_uid for each in range(3) if os.isatty(each)}
        return self

    def __exit__(self, *_: object) -> None:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self._blocked)
        for number, handler in self._before.items():
            if handler is not None:
                _signal.signal(number, handler)
        _signal.set_wakeup_fd(self._before_fd)
        _give_back(self._owners)
        for descriptor in (self._wakes, self._woken):
            os.close(descriptor)
        if self._terminal:
            self._terminal.close()


def _give_back(terminals: dict[int, int]) -> None:
    """Restore the owners of our terminals, which a user of the container may have become."""
    for terminal, owner in terminals.items():
        try:
            if os.fstat(terminal).st_uid != owner:
                os.fchown(terminal, owner, -1)
        except OSError:
            continue  # the terminal was hung up


def _ignore(*_: object) -> None:
    """Do nothing: Python writes the signal's number to the wake-up descriptor."""
