"""Cancelled builds: the programs that they end, and the work that they refuse afterwards."""

from __future__ import annotations

import pytest

from runtime.build.cancellation import Cancellation, Cancelled
from runtime.errors import Unavailable


def test_only_open_blocks_are_stopped() -> None:
    cancellation = Cancellation()
    stopped: list[object] = []
    with cancellation.stopping(lambda: stopped.append("closed")):
        cancellation.check()
    with cancellation.stopping(lambda: stopped.append("open")):
        cancellation.cancel()
    assert stopped == ["open"]


def test_a_stop_that_fails_does_not_keep_the_next_from_being_called() -> None:
    cancellation = Cancellation()
    stopped: list[object] = []

    def fail() -> None:
        raise Unavailable("It has ended.")

    with cancellation.stopping(fail), cancellation.stopping(lambda: stopped.append(1)):
        cancellation.cancel()
    assert stopped == [1]


def test_nothing_begins_after_the_end() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        cancellation.check()
    with pytest.raises(Cancelled), cancellation.stopping(lambda: None):
        pytest.fail("the block was entered")
