"""CPU time of foreign processes, and of those that belong to a measurement."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab.host import background_load
from lab.host.background_load import CpuSeconds
from tests.lab.burning import burning


def test_time_of_an_ended_child_is_not_counted_twice() -> None:
    before = {(1, 1): CpuSeconds(0.0, 5.0), (2, 9): CpuSeconds(60.0, 1.0)}
    after = {(1, 1): CpuSeconds(0.5, 5.0 + 63.0)}
    assert background_load.used_between(before, after) == pytest.approx(2.5)
    ended_unseen = {(1, 1): CpuSeconds(0.5, 5.0)}
    assert background_load.used_between(before, ended_unseen) == pytest.approx(0.5)


def test_foreign_processes_are_told_from_own_ones(tmp_path: Path) -> None:
    """Processes are foreign to another measurement, except those that name its directory."""
    elsewhere = subprocess.Popen(["sleep", "60"])
    foreign = background_load.BackgroundLoad(elsewhere.pid, tmp_path / "scratch")
    mine = background_load.BackgroundLoad(os.getpid(), tmp_path / "scratch")
    before = foreign.read()
    stranger, named = burning(), burning(str(tmp_path / "scratch" / "disk.qcow2"))
    try:
        after = foreign.read()
        pids = {pid for pid, _ in after}
        assert stranger.pid in pids
        assert named.pid not in pids
        assert elsewhere.pid not in pids
        assert background_load.used_between(before, after) >= 0.35
        assert {stranger.pid, named.pid, os.getpid()}.isdisjoint(pid for pid, _ in mine.read())
    finally:
        for process in (stranger, named, elsewhere):
            process.kill()
            process.wait()
