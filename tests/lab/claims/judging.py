"""Runs for judges of claims, and the finding on a claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.claims import table
from lab.claims.finding import Verdict
from lab.results import run_folder
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from tests.lab.plausible import HOST, SETTINGS, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.results.run_folder import Run

WITH_KVM = {**HOST, "kvm": {"works": True, "reason": ""}}
HOLDS, FAILS = Verdict.HOLDS, Verdict.FAILS
INCONCLUSIVE, UNTESTED = Verdict.INCONCLUSIVE, Verdict.UNTESTED
FOOT = "footprint"
NOTES = {"own-kernel": "Linux 6.1"}
ISOLATION = {"neighbours-seen", "cpus-granted", "memory-granted", "processes-granted", "squeezed"}
GRANTED = {("container", "cpus-granted"): 0.5, ("container", "memory-granted"): 250.0 * 2**20,
           ("container", "processes-granted"): 62.0}  # fmt: skip


def on(path: Path, **changes: Any) -> Run:
    """Write a plausible run with these changes, and load it."""
    return run_folder.load(write(path / "run", **changes))


def row(run: Run, words: str) -> table.Row:
    """Return the finding on the only claim that contains the words."""
    (result,) = [row for row in table.examine(run) if words in row.claim]
    return result


def startups(path: Path, seconds: dict[str, list[float]], metric: str, **settings: Any) -> Run:
    """Write a run under KVM with the seconds of each target's starts, and load it."""
    with RunFolder(path / "run", WITH_KVM, {**SETTINGS, "accelerator": "kvm", **settings}) as made:
        made.append(
            Sample("startup", target, metric, "second", number, value)
            for target, values in seconds.items()
            for number, value in enumerate(values)
        )
    return run_folder.load(path / "run")


def inside(path: Path, figures: dict[tuple[str, str], float], **settings: Any) -> Run:
    """Write a run of three rounds with these values by (target, metric)."""
    with RunFolder(path / "run", HOST, {**SETTINGS, **settings}) as made:
        for number in range(3):
            made.append(
                Sample(
                    "isolation" if metric in ISOLATION or metric.startswith("beside") else FOOT,
                    target, metric, "ratio" if metric.startswith("beside") else "byte", number,
                    value if value <= 1 else value * (1 + number / 1000),
                    note=NOTES.get(metric, ""),
                )
                for (target, metric), value in figures.items()
            )  # fmt: skip
    return run_folder.load(path / "run")
