"""Clean-up after dead workers leaves the objects of living ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab.targets import leftovers

ENDED_PID = 1 << 22  # above every pid_max


def test_objects_of_a_living_worker_are_not_leftovers() -> None:
    assert leftovers.is_left_by_dead(f"tonnage-crun-{ENDED_PID}-7")
    assert leftovers.is_left_by_dead(f"tonnage-docker-{os.getpid()}")  # a reused pid
    assert not leftovers.is_left_by_dead("tonnage-of-somebody-else")
    argv = [sys.executable, "-c", "print(flush=True); input()", "lab.targets.worker"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        assert not leftovers.is_left_by_dead(f"tonnage-crun-{worker.pid}-7")
        worker.communicate()


def test_clean_removes_only_directories_of_dead_workers(tmp_path: Path) -> None:
    left = tmp_path / f"tonnage-zeppelin-{ENDED_PID}"
    (left / "i" / f"{left.name}-0").mkdir(parents=True)
    other = tmp_path / f"tonnage-balloon-{ENDED_PID}"
    other.mkdir()
    assert leftovers.clean("zeppelin", tmp_path) == [f"removed {left}"]
    assert list(tmp_path.iterdir()) == [other]
