"""The experiments by name, in the order in which a run performs them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from lab import plugins
from lab.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.experiments.base import Experiment
    from lab.targets.worker import Worker

_MODULES = {
    "startup": "lab.experiments.startup",
    "burst": "lab.experiments.burst",
    "footprint": "lab.experiments.footprint",
    "performance": "lab.experiments.performance",
    "delivery": "lab.experiments.delivery",
    "isolation": "lab.experiments.isolation",
    "density": "lab.experiments.density",  # last, since it raises the kernel's memory for good
    **plugins.addresses("tonnage.experiments"),
}
EXPERIMENTS = tuple(_MODULES)


def find(name: str) -> Experiment:
    """Return the experiment of that name. Raise NotFound."""
    if name not in _MODULES:
        raise NotFound(f"There is no experiment {name!r}; choose from {', '.join(EXPERIMENTS)}.")
    return cast("Experiment", import_module(_MODULES[name]))


def absent(name: str) -> str:
    """Return the reason why an experiment can't be made on this host; empty if it can.

    An experiment that needs more than its targets defines `absent`.
    """
    reason: Callable[[], str] | None = getattr(find(name), "absent", None)
    return reason() if reason else ""


def in_turn(name: str, workers: Sequence[Worker]) -> list[Worker]:
    """Return the workers in the experiment's own order if it defines one, else unchanged.

    An experiment whose effects on the host last defines `turns`, which orders targets by name.
    """
    turns = getattr(find(name), "turns", None)
    if turns is None:
        return list(workers)
    order = turns([worker.target for worker in workers])
    return sorted(workers, key=lambda worker: order.index(worker.target))


def image_refusal(name: str) -> str:
    """Return why an experiment can't measure an image; empty if it can.

    Such an experiment defines `NO_IMAGE`.
    """
    return getattr(find(name), "NO_IMAGE", "")
