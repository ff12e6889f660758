"""Other packages add targets, experiments and workloads by entry points."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ENTRY_POINTS = """
[tonnage.targets]
sandbox = strangers.target:Sandbox

[tonnage.experiments]
heat = strangers.heat

[tonnage.workloads]
theirs = strangers:theirs.toml
"""
WORKLOADS = """
[theirs]
what = "nothing"
command = "true"
threads = 1
bound-by = "nothing"
results.theirs = { unit = "second", better = "less" }
"""
SCRIPT = """
from lab import experiments, targets, workloads
assert "sandbox" in targets.NAMES and "heat" in experiments.EXPERIMENTS
assert experiments.find("heat").HEADLINE == ("heat", "second")
print(targets.find("sandbox").__name__, *workloads.load("quick").keys() & {"theirs"})
"""


def add_package(directory: Path, name: str, points: str) -> None:
    package = directory / "strangers"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "target.py").write_text("class Sandbox:\n    pass\n")
    (package / "heat.py").write_text("HEADLINE = ('heat', 'second')\n")
    (package / "theirs.toml").write_text(WORKLOADS)
    information = directory / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(points)


def load_plugins(directory: Path) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parent.parent.parent
    return subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, cwd=directory,
        env={"PYTHONPATH": f"{root}:{directory}"},
    )  # fmt: skip


def test_plugins_are_found(tmp_path: Path) -> None:
    add_package(tmp_path, "strangers", ENTRY_POINTS)
    result = load_plugins(tmp_path)
    assert result.stdout.split() == ["Sandbox", "theirs"], result.stderr


@pytest.mark.parametrize("others", ["sandbox = others.target:Box"])
def test_two_plugins_of_one_name_are_refused(tmp_path: Path, others: str) -> None:
    add_package(tmp_path, "strangers", ENTRY_POINTS)
    add_package(tmp_path, "others", f"[tonnage.targets]\n{others}\n")
    assert (
        "Two installed packages register 'sandbox' as an entry point"
        in load_plugins(tmp_path).stderr
    )
