"""A host whose libvirt library is missing: the package libvirt-python alone can't be loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
REASON = "libvirt.so.0: cannot open shared object file: No such file or directory"


@pytest.fixture
def without(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which loading libvirt fails like on such a host."""
    (tmp_path / "libvirt.py").write_text(f"raise ImportError({REASON!r})\n")
    return {
        **os.environ, "PYTHONPATH": str(tmp_path), "TONNAGE_CACHE": str(tmp_path / "cache"),
        "COLUMNS": "400",
    }  # fmt: skip


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "lab", *arguments], env=environment, cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done


def test_the_targets_are_listed(without: dict[str, str]) -> None:
    done = run(without, "run", "--list")
    assert done.returncode == 0
    assert "container" in done.stdout


def test_the_doctor_says_which_package_is_missing(without: dict[str, str]) -> None:
    done = run(without, "doctor", "--accel", "tcg")
    assert done.returncode == 0
    assert f"libvirt can't be loaded ({REASON}): apt-get install libvirt0" in done.stdout


def test_a_verb_that_needs_libvirt_says_so(without: dict[str, str]) -> None:
    done = run(without, "vm", "list")
    assert done.returncode == 2
    assert done.stderr == (
        f"tonnage: libvirt can't be loaded ({REASON}): apt-get install libvirt0.\n"
    )
