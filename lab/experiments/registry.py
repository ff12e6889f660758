"""The experiments by name, in the order in which a run does them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.experiments import density, footprint, performance, startup

if TYPE_CHECKING:
    from lab.experiments.base import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    "startup": startup,
    "footprint": footprint,
    "density": density,
    "performance": performance,
}


def find(name: str) -> Experiment:
    """The experiment of that name. Raises LabError for a name that is none's."""
    if name not in EXPERIMENTS:
        raise LabError(f"There is no experiment {name!r}; there are {', '.join(EXPERIMENTS)}.")
    return EXPERIMENTS[name]
