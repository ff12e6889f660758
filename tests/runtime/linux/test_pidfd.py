"""Processes by their pidfds."""

from __future__ import annotations

import math
import os
import subprocess

import pytest

from runtime.linux.pidfd import ended_within, exit_code, kill


@pytest.mark.parametrize("seconds", [1e-3, 30 * 86400, 1e30, math.inf, None])
def test_any_time_can_be_waited(seconds: float | None) -> None:
    """Also a time of more milliseconds than a C int holds."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        pidfd = os.pidfd_open(process.pid)
        assert not ended_within(pidfd, 0.001)
        assert process.stdin
        process.stdin.close()
        assert ended_within(pidfd, seconds) or seconds == 1e-3
        os.close(pidfd)


def test_a_signal_to_an_ended_process_is_no_error() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        pidfd = os.pidfd_open(process.pid)
        assert kill(pidfd)
        process.wait()
        assert not kill(pidfd)
        os.close(pidfd)


def test_the_exit_code_of_a_running_process_is_waited_for() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        pidfd = os.pidfd_open(process.pid)
        with pytest.raises((TimeoutError, OSError)):  # OSError on kernels before Linux 6.15
            exit_code(pidfd, 0.01)
        process.kill()
        os.close(pidfd)
