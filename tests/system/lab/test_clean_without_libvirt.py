"""`tonnage clean` on a host whose libvirt library is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root


def test_what_needs_no_libvirt_is_cleaned(tmp_path: Path) -> None:
    (tmp_path / "libvirt.py").write_text("raise ImportError('libvirt.so.0')\n")
    left = tmp_path / "tonnage-class-4194305-left"
    left.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "lab", "clean"],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert f"removed {left}" in done.stdout
