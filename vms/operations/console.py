"""A machine's console at this terminal: raw, until the escape character is typed.

A serial line has no size; where an agent is inside, it is told the terminal's. (termios(3),
tty_ioctl(4), TIOCGWINSZ)
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
    """Join the terminal and the console. True if it was left, False if the other end closed it.

    `keyboard` and `screen` are descriptors; one that is no terminal is passed on as it is. Where
    nothing more will be typed, what is said is still shown. A console that somebody else has is
    refused, or taken over by `force`. Raises MachineError.
    """
    domain.disconnect()
    with (
        connected(domain.port(CONSOLE, force=force)) as line,
        _raw(keyboard),
        _resizes(domain, keyboard) as resized,
    ):
        return _join(line.fileno(), keyboard, screen, escape, resized)


def _join(line: int, keyboard: int, screen: int, escape: int, resized: _Resized) -> bool:
    poll = select.poll()
    for descriptor in (line, keyboard, resized.descriptor):
        poll.register(descriptor, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        if resized.descriptor in ready:
            resized.tell()
        if line in ready:
            said = _read(line)
            if not said:
                return False
            _write_all(screen, said)
        if keyboard in ready:
            typed = os.read(keyboard, _BLOCK_BYTES)
            before, left, _ = typed.partition(bytes([escape]))
            _write_all(line, before)
            if left:
                return True
            if not typed:
                poll.unregister(keyboard)


def _read(line: int) -> bytes:
    """What came; nothing at the end, however the other end went."""
    try:
        return os.read(line, _BLOCK_BYTES)
    except OSError:
        return b""


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    """Every key goes to the machine, Ctrl-C as well."""
    if not os.isatty(keyboard):
        yield
        return
    before = termios.tcgetattr(keyboard)
    tty.setraw(keyboard)
    try:
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


class _Resized:
    """The terminal's size, told to the machine when the console is joined and when it changes."""

    def __init__(self, domain: Domain, keyboard: int, descriptor: int) -> None:
        self._domain = domain
        self._keyboard = keyboard
        self.descriptor = descriptor

    def tell(self) -> None:
        """Tell the machine. It may have no agent, or one that is busy: then it stays as it is."""
        with suppress(BlockingIOError):
            os.read(self.descriptor, _BLOCK_BYTES)
        # Beside what is said, which must not wait for an agent that is not up yet.
        threading.Thread(target=self._tell, daemon=True).start()

    def _tell(self) -> None:
        with suppress(OSError, MachineError):
            size = os.get_terminal_size(self._keyboard)
            words = ("rows", str(size.lines), "cols", str(size.columns))
            self._domain.inside.run(["stty", "-F", "/dev/ttyS0", *words], _RESIZE_SECONDS)


@contextmanager
def _resizes(domain: Domain, keyboard: int) -> Iterator[_Resized]:
    """Have the kernel's word that the terminal changed wake us. (signal.set_wakeup_fd)"""
    told, tells = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    resized = _Resized(domain, keyboard, told)
    before: Any = None
    if os.isatty(keyboard):
        before = signal.signal(signal.SIGWINCH, lambda *_: os.write(tells, b"\0"))
        os.write(tells, b"\0")
    try:
        yield resized
    finally:
        if before is not None:
            signal.signal(signal.SIGWINCH, before)
        os.close(told)
        os.close(tells)
