"""Processes by their pidfds, and the signals that this one ignores."""

from __future__ import annotations

import math
import os
import signal
import subprocess

import pytest

from runtime.linux.pidfd import ended_within, ignored_signals


@pytest.mark.parametrize("seconds", [1e-3, 30 * 86400, 1e30, math.inf, None])
def test_any_time_can_be_waited(seconds: float | None) -> None:
    """More milliseconds than an int holds, too."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        pidfd = os.pidfd_open(process.pid)
        assert not ended_within(pidfd, 0.001)
        assert process.stdin
        process.stdin.close()
        assert ended_within(pidfd, seconds) or seconds == 1e-3
        os.close(pidfd)


def test_what_is_ignored_is_known() -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        assert {signal.SIGUSR1, signal.SIGPIPE} <= set(ignored_signals())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert signal.SIGUSR1 not in ignored_signals()
