"""Figures of a run that a plan uses: what one instance of a target takes of each resource.

    cpus            footprint, idle-cpu: CPU seconds a second of an idle instance
    memory_bytes    density, memory-per-instance-available: the host's memory for one more instance
    disk_bytes      footprint, instance-disk: what an instance adds to its image

A figure is the median over rounds, or the slope of a single filling of the host, rounded up to four
digits: no measurement is more precise, and integers stay small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING

from lab.analysis import labels
from lab.errors import InvalidConfig, LabError
from lab.planning.inventory import CPUS, DISK_BYTES, MEMORY_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from lab.results.run_folder import Run

METRICS = {
    CPUS: ("footprint", "idle-cpu"),
    MEMORY_BYTES: ("density", "memory-per-instance-available"),
    DISK_BYTES: ("footprint", "instance-disk"),
}
_CURVE = "memory-available"  # whose slope over the number of instances is the memory of one
_DIGITS = 4


@dataclass(frozen=True, slots=True)
class MeasuredFigure:
    """The amount of a resource that one instance of a run's target takes.

    `samples` are the values of the rounds. With one alone, its uncertainty is only known from `low`
    and `high`, the 95 % interval of a slope; they are None where the run does not tell.
    """

    run: Path
    target: str
    resource: str
    centre: float
    low: float | None
    high: float | None
    samples: tuple[float, ...]
    emulated: bool

    @property
    def name(self) -> str:
        """The run, the target, the experiment and the metric."""
        return " ".join((f"{self.run.name}/{self.target}", *METRICS[self.resource]))


def figures(key: str, path: Path, target: str) -> dict[str, MeasuredFigure]:
    """Return the figures of a run's target by resource: CPU, memory and disk.

    Raise InvalidConfig, naming the plan's key, if the folder is no run or lacks one of them.
    """
    try:
        run = load_run(path)
    except LabError as error:
        raise InvalidConfig(f"{key}: {error}") from error
    targets = dict.fromkeys(run.sample_columns["target"])
    if target not in targets:
        known = ", ".join(targets)
        raise InvalidConfig(f"{key}: {path} has no target {target!r}; choose from {known}.")
    found = {resource: _figure(run, target, resource) for resource in METRICS}
    for resource, figure in found.items():
        if figure is None:
            experiment, metric = METRICS[resource]
            raise InvalidConfig(
                f"{key}: {path} has no {experiment} of {target} ({metric}): measure it with"
                f" `tonnage run {experiment} --targets {target}`."
            )
    return {resource: figure for resource, figure in found.items() if figure is not None}


@lru_cache(maxsize=8)
def load_run(path: Path) -> Run:
    """Return the run in the folder. Raise NotFound or InvalidRun."""
    from lab.results import run_folder

    return run_folder.load(path)


def _figure(run: Run, target: str, resource: str) -> MeasuredFigure | None:
    """Return the figure; None if the run lacks it, or if it is no amount that can be planned."""
    experiment, metric = METRICS[resource]
    rounds = _by_round(run, experiment, target, metric)
    low = high = None
    if resource == MEMORY_BYTES and len(rounds) <= 1:
        # A single filling has no scatter of its own, but the points of its curve have.
        centre, low, high = _slope(run, target)
        rounds = rounds if centre is None else (centre,)
    if not rounds or (middle := median(rounds)) < 0 or (resource == MEMORY_BYTES and middle == 0):
        return None
    return MeasuredFigure(
        run=run.path,
        target=target,
        resource=resource,
        centre=rounded_up(middle),
        low=low,
        high=high,
        samples=rounds,
        emulated=labels.is_emulated(target, run),
    )


def _by_round(run: Run, experiment: str, target: str, metric: str) -> tuple[float, ...]:
    """Return the metric's value of each round that its figure includes."""
    from lab.analysis import series, summary
    from lab.statistics.estimates import undisturbed

    of = series.one(run, experiment, target, metric)
    return tuple(undisturbed(of.by_round(), summary.disturbed_rounds(of, run)).values())


def _slope(run: Run, target: str) -> tuple[float | None, float | None, float | None]:
    """Return the memory of one more instance and its interval, from the points of a filling."""
    from lab.analysis import series
    from lab.statistics.estimates import estimate_slope

    curve = series.one(run, "density", target, _CURVE)
    estimate = estimate_slope(curve.positions, [-value for value in curve.values])
    return estimate.centre, estimate.low, estimate.high


def rounded_up(value: float) -> float:
    """Return the value rounded up to four significant digits."""
    if value <= 0:
        return 0.0
    places = _DIGITS - 1 - math.floor(math.log10(value))
    # Multiplying by a negative power of ten would add digits that the decimal number lacks.
    scaled = value * 10.0**places if places >= 0 else value / 10.0**-places
    above = math.ceil(float(f"{scaled:.9g}"))
    return above / 10.0**places if places >= 0 else above * 10.0**-places
