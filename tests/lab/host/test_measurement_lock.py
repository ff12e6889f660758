"""The measurement lock: one measurement at a time, and errors that name the holder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.host import measurement_lock


@pytest.fixture(autouse=True)
def _own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement_lock, "LOCK_FILE", tmp_path / "lock")


def holder(lock: Path, seconds: float) -> subprocess.Popen[str]:
    """Start another process that holds the lock for a while; it holds it on return."""
    script = f"""
import time
from pathlib import Path
from lab.host import measurement_lock
measurement_lock.LOCK_FILE = Path({str(lock)!r})
with measurement_lock.measurement_lock():
    print("held", flush=True)
    time.sleep({seconds})
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_error_names_the_holder_and_since_when() -> None:
    first = holder(measurement_lock.LOCK_FILE, 60)
    try:
        with (
            pytest.raises(LabError, match=rf"Process {first.pid} \(.* -c .*since 20\d\d-"),
            measurement_lock.measurement_lock(),
        ):
            raise AssertionError("two processes hold the lock")
    finally:
        first.kill()
        first.wait()
    with measurement_lock.measurement_lock():
        pass


def test_waiting_names_the_holder_and_gets_the_lock() -> None:
    first = holder(measurement_lock.LOCK_FILE, 0.3)
    lines: list[str] = []
    with measurement_lock.measurement_lock(wait=True, progress=lines.append):
        assert first.wait(10) == 0
    assert [line for line in lines if f"Process {first.pid} " in line] == lines
    assert len(lines) == 1


def test_a_holder_that_is_not_known_is_another_process(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("half a")
    with (tmp_path / "lock").open("r") as lock:
        assert measurement_lock._holder(lock) == "Another process"
