"""Tests of the plug-in for tests that are skipped because a program is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
TESTS = """
import pytest

def test_of_a_peer():
    pytest.skip("podman is not installed: make peers")

@pytest.mark.skipif(True, reason="cpio is not installed")
def test_of_a_tool():
    pass

def test_of_what_nobody_packages():
    pytest.skip("firecracker is not installed")

def test_of_the_host():
    pytest.skip("this host has version 2 alone")

def test_that_passes():
    pass
"""


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    path = tmp_path / "test_some.py"
    path.write_text(TESTS)
    return path


def run(tests: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.missing", "-c", "/dev/null", "-rs",
         "-p", "no:cacheprovider", "--rootdir", str(tests.parent), *options, str(tests)],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_skipped_tests_are_recorded_and_run_again(tests: Path, tmp_path: Path) -> None:
    record = tmp_path / "record"
    first = run(tests, f"--record-missing={record}")
    assert first.returncode == 0
    assert record.read_text().split() == [
        "test_some.py::test_of_a_peer",
        "test_some.py::test_of_a_tool",
    ]
    again = run(tests, f"--only-recorded={record}")
    assert "2 skipped, 3 deselected" in again.stdout


def test_without_a_record_no_test_is_run_again(tests: Path, tmp_path: Path) -> None:
    result = run(tests, f"--only-recorded={tmp_path / 'none'}")
    assert "5 deselected" in result.stdout
    assert result.returncode == 0


def test_skipped_tests_fail_if_nothing_may_be_missing(tests: Path) -> None:
    result = run(tests, "--nothing-missing")
    assert result.returncode == 1
    assert "1 failed, 1 passed, 2 skipped, 1 error" in result.stdout
    assert "podman is not installed, so the test was skipped." in result.stdout
