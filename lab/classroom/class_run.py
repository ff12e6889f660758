"""The run of a class: the one that a verb or a notebook is told, or the one that is at hand.

TONNAGE_RUN is its folder, or its name alone: then it is looked for where runs are.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import NotFound
from lab.paths import CHECKOUT
from lab.results import run_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.results.run_folder import Run

RUN_VARIABLE = "TONNAGE_RUN"
COMMITTED = Path("results") / "2026-11-29-vm-full"  # the one that the project's pages quote
_RUN = "run.json"


def path(given: Path | None = None) -> Path:
    """Return the run's folder: the given one, $TONNAGE_RUN, the working directory if it is a run.

    Else the newest full run of the nearest folder that has runs: run/, of an unpacked class, or
    results/, here, in a folder above, or in the project. Raise NotFound if there is none.
    """
    if given is not None:
        return given
    if chosen := os.environ.get(RUN_VARIABLE):
        is_name = Path(chosen).name == chosen and not Path(chosen).is_dir()
        return named(chosen) if is_name else Path(chosen)
    if Path(_RUN).is_file():
        return Path.cwd()
    for folder in _folders():
        if runs := [file.parent for file in folder.glob(f"*/{_RUN}")]:
            return max(runs, key=lambda run: ("full" in run.name, run.name))
    raise NotFound(
        f"There is no run in run/ or results/, here or above: name one with --run, or set"
        f" {RUN_VARIABLE} to its folder."
    )


def named(name: str) -> Path:
    """Return the folder of a run, or of a calibration, by its name. Raise NotFound."""
    for folder in _folders():
        if (folder / name).is_dir():
            return folder / name
    raise NotFound(
        f"There is no {name} in a folder run/ or results/, here or above: set {RUN_VARIABLE} to the"
        " folder of a run."
    )


def _folders() -> Iterator[Path]:
    """Yield the folders that may hold runs, the nearest first."""
    here = Path.cwd()
    for base in (here, *here.parents, CHECKOUT):
        yield from (base / "run", base / "results")


def load(given: Path | None = None) -> Run:
    """Return the run. Raise NotFound, InvalidRun."""
    return run_folder.load(path(given))
