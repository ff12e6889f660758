"""The experiments by name, in the order in which a run does them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from lab import plugins
from lab.errors import LabError

if TYPE_CHECKING:
    from lab.experiments.base import Experiment

_MODULES = {
    "startup": "lab.experiments.startup",
    "burst": "lab.experiments.burst",
    "footprint": "lab.experiments.footprint",
    "density": "lab.experiments.density",
    "performance": "lab.experiments.performance",
    "isolation": "lab.experiments.isolation",
    **plugins.found("tonnage.experiments"),
}
EXPERIMENTS = tuple(_MODULES)


def find(name: str) -> Experiment:
    """The experiment of that name. Raises LabError for a name that is none's."""
    if name not in _MODULES:
        raise LabError(f"There is no experiment {name!r}; there are {', '.join(EXPERIMENTS)}.")
    return cast("Experiment", import_module(_MODULES[name]))
