"""Signals that end a command: each interrupts like Ctrl-C, so that clean-up always runs."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ENDING = (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)


class Interrupted(KeyboardInterrupt):
    """The command was ended by a signal other than SIGINT; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def interrupting() -> Iterator[None]:
    """Raise Interrupted in the block at the first of SIGHUP, SIGTERM and SIGQUIT.

    Later signals are ignored: a closing terminal and a supervisor each send several, and the
    clean-up must not be interrupted. A signal that is ignored already stays ignored. (nohup(1))
    """

    def interrupt(number: int, _: FrameType | None) -> None:
        for each in handlers:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    handlers = {each: signal.getsignal(each) for each in ENDING}
    handlers = {
        each: handler for each, handler in handlers.items() if handler is not signal.SIG_IGN
    }
    for each in handlers:
        signal.signal(each, interrupt)
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)


def leave_to_parent() -> None:
    """Ignore the signals that a terminal sends to the whole foreground process group.

    The parent process gets them too and decides. Handlers are used in place of SIG_IGN, which every
    program started from here would inherit.
    """
    for each in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, lambda *_: None)


def exit_once(code: int) -> None:
    """Exit with the code at the first SIGTERM, and ignore later ones during the clean-up."""

    def leave(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(code)

    signal.signal(signal.SIGTERM, leave)
