"""Runtimes that the user names, measured: crun under another name, and tonnage-oci."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root


def measured(tmp_path: Path, name: str, program: Path) -> tuple[dict[str, object], dict[str, int]]:
    """Run startup on the runtime; return run.json and how many samples each metric has."""
    out = tmp_path / "run"
    subprocess.run(
        [sys.executable, "-m", "lab", "run", "startup", "footprint", "--rounds", "2",
         "--runtime-binary", f"{name}={program}", "--targets", f"container,{name}",
         "--accel", "tcg", "--wait", "--out", str(out)],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    with (out / "measurements.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if row["target"] == name]
    assert not [row["censored"] for row in rows if row["censored"]]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["metric"]] = counts.get(row["metric"], 0) + 1
    return json.loads((out / "run.json").read_text()), counts


def check(settings: dict[str, object], counts: dict[str, int], name: str, program: Path) -> None:
    assert settings["targets"] == ["container", name]
    runtimes = settings["runtime_binaries"]
    assert isinstance(runtimes, dict)
    assert runtimes[name]["path"] == str(program)
    assert runtimes[name]["version"][0].isdigit()
    assert counts["ready"] == counts["gone"] == counts["pss"] == 2


def test_a_copy_of_crun_is_measured_under_its_own_name(tmp_path: Path) -> None:
    crun = shutil.which("crun")
    if not crun:
        pytest.skip("crun is not installed: apt-get install crun")
    program = Path(shutil.copy(crun, tmp_path / "my-crun"))
    check(*measured(tmp_path, "mine", program), "mine", program)


def test_tonnage_oci_is_measured(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("tonnage-oci")
    if not program.exists():
        pytest.skip("tonnage-oci is not installed beside this Python: make setup")
    check(*measured(tmp_path, "ours", program), "ours", program)
