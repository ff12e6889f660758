"""A machine's console on this terminal, in raw mode until the escape character is typed.

A serial line has no window size, so the terminal's size is set by an agent in the guest, if there
is one. (termios(3), tty_ioctl(4), TIOCGWINSZ)
"""

from __future__ import annotations

import os
import select
import signal
import termios
import threading
import tty
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from vms.description import CONSOLE
from vms.errors import MachineError
from vms.guest.sockets import connected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vms.domain.domain import Domain

ESCAPE, ESCAPE_NAME = 0x1D, "Ctrl-]"
_BLOCK_BYTES = 65536
_RESIZE_SECONDS = 2.0


def attach(
    domain: Domain,
    keyboard: int = 0,
    screen: int = 1,
    escape: int = ESCAPE,
    *,
    force: bool = False,
) -> bool:
    """Connect terminal and console; return True if the user left, False if the machine closed it.

    `keyboard` and `screen` are descriptors, of a terminal or of anything else. After the end of the
    keyboard's input the console's output is still shown. Raises MachineError, also if another
    client has the console, unless `force` takes it over.
    """
    domain.disconnect()
    with (
        connected(domain.port(CONSOLE, force=force)) as line,
        _raw(keyboard),
        _window_changes(domain, keyboard) as window,
    ):
        return _relay(line.fileno(), keyboard, screen, escape, window)


def _relay(line: int, keyboard: int, screen: int, escape: int, window: _WindowSize) -> bool:
    poll = select.poll()
    for descriptor in (line, keyboard, window.descriptor):
        poll.register(descriptor, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if window.descriptor in ready:
            window.send()
        if line in ready:
            output = _read(line)
            if not output:
                return False
            _write_all(screen, output)
        if keyboard in ready:
            typed = os.read(keyboard, _BLOCK_BYTES)
            before, escaped, _ = typed.partition(bytes([escape]))
            _write_all(line, before)
            if escaped:
                return True
            if not typed:
                poll.unregister(keyboard)


def _read(line: int) -> bytes:
    """Return the bytes that arrived; none at the end, also after an error."""
    try:
        return os.read(line, _BLOCK_BYTES)
    except OSError:
        return b""


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    """Put the terminal into raw mode, so that every key goes to the machine, also Ctrl-C."""
    if not os.isatty(keyboard):
        yield
        return
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


class _WindowSize:
    """The terminal's size, sent to the guest when the console is attached and when it changes."""

    def __init__(self, domain: Domain, keyboard: int, descriptor: int) -> None:
        self._domain = domain
        self._keyboard = keyboard
        self.descriptor = descriptor

    def send(self) -> None:
        """Set the size in the guest; without a free agent there, it stays as it is."""
        with suppress(BlockingIOError):
            os.read(self.descriptor, _BLOCK_BYTES)
        # In a thread, since the console's output must not wait for an agent that is not up yet.
        threading.Thread(target=self._send, daemon=True).start()

    def _send(self) -> None:
        with suppress(OSError, MachineError):
            size = os.get_terminal_size(self._keyboard)
            settings = ("rows", str(size.lines), "cols", str(size.columns))
            self._domain.inside.run(["stty", "-F", "/dev/ttyS0", *settings], _RESIZE_SECONDS)


@contextmanager
def _window_changes(domain: Domain, keyboard: int) -> Iterator[_WindowSize]:
    """Yield the window size; its descriptor is readable after the terminal was resized."""
    readable, writable = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    window = _WindowSize(domain, keyboard, readable)
    before: Any = None
    if os.isatty(keyboard):
        before = signal.signal(signal.SIGWINCH, lambda *_: os.write(writable, b"\0"))
        os.write(writable, b"\0")
    try:
        yield window
    finally:
        if before is not None:
            signal.signal(signal.SIGWINCH, before)
        os.close(readable)
        os.close(writable)
