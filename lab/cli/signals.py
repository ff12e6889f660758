"""Signals that end a command: each does what Ctrl-C does, so that what was begun is undone."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ENDING = (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)


class Interrupted(KeyboardInterrupt):
    """A signal other than SIGINT has ended the command; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def interrupting() -> Iterator[None]:
    """Raise Interrupted in the block at the first of SIGHUP, SIGTERM and SIGQUIT.

    Later ones are ignored, since a terminal that closes and a supervisor send several, and the
    clean-up must not be interrupted. A signal that is ignored already stays so. (nohup(1))
    """

    def interrupt(number: int, _: FrameType | None) -> None:
        for each in handled:
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(number)

    handled = {each: signal.getsignal(each) for each in ENDING}
    handled = {each: now for each, now in handled.items() if now is not signal.SIG_IGN}
    for each in handled:
        signal.signal(each, interrupt)
    try:
        yield
    finally:
        for each, before in handled.items():
            signal.signal(each, before)


def leave_to_parent() -> None:
    """Take no notice of what a terminal sends to the whole foreground group.

    The parent gets it too, and decides. Handlers, not SIG_IGN: that would be inherited by every
    program that is started from here.
    """
    for each in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(each, lambda *_: None)


def exit_once(code: int) -> None:
    """Exit with the code at the first SIGTERM, and ignore the others while that cleans up."""

    def leave(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(code)

    signal.signal(signal.SIGTERM, leave)
