"""A signal ends a command like Ctrl-C, once; an ignored signal stays ignored."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from lab import signals

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_in_a_terminal() -> Iterator[None]:
    """Reset the handlers, since nohup and background jobs of a shell start with ignored signals."""
    before = {each: signal.signal(each, signal.SIG_DFL) for each in signals.ENDING}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize("number", signals.ENDING)
def test_a_signal_ends_the_block_and_later_ones_do_not_disturb(number: signal.Signals) -> None:
    cleaned = False
    before = signal.getsignal(number)
    with pytest.raises(signals.Interrupted) as ended, signals.interrupting():
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)  # any thread may receive the signal; the main thread raises
        finally:
            for each in signals.ENDING:
                os.kill(os.getpid(), each)
            cleaned = True
    assert ended.value.number == number
    assert cleaned
    assert signal.getsignal(number) is before


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup(1)
    try:
        with signals.interrupting():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
