"""Distributions of times, as a scenario states them or as a run measured them.

service = { distribution = "exponential", mean = "50 ms" }
service = { distribution = "lognormal", median = "40 ms", p95 = "200 ms" }
service = { distribution = "measured", run = "results/2026-11-29-vm", target = "container",
            experiment = "density", metric = "loaded-answer-p50" }
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from lab.analysis import labels
from lab.errors import InvalidConfig
from lab.results import run_folder
from lab.scaling.quantities import Period, Seconds
from lab.scaling.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from lab.results.run_folder import Run
    from lab.scaling.arrays import FloatArray

_P95 = 1.6448536269514722  # of the standard normal distribution
_WIDEST = 1_000_000  # a wider one would have a mean that no sample shows


class Distribution(Protocol):
    """A distribution of seconds."""

    @property
    def mean_seconds(self) -> float:
        """The mean."""

    def draw(self, chance: np.random.Generator, count: int) -> FloatArray:
        """Return that many independent values."""


class Fixed(Table, tag_field="distribution", tag="fixed", frozen=True, kw_only=True):
    """Always the same time."""

    value: Seconds

    @property
    def mean_seconds(self) -> float:
        """The mean."""
        return float(self.value)

    def draw(self, chance: np.random.Generator, count: int) -> FloatArray:
        """Return that many equal values."""
        del chance
        return np.full(count, float(self.value))


class Exponential(Table, tag_field="distribution", tag="exponential", frozen=True, kw_only=True):
    """Times without memory."""

    mean: Period

    @property
    def mean_seconds(self) -> float:
        """The mean."""
        return float(self.mean)

    def draw(self, chance: np.random.Generator, count: int) -> FloatArray:
        """Return that many independent values."""
        return chance.standard_exponential(count) * float(self.mean)


class Uniform(Table, tag_field="distribution", tag="uniform", frozen=True, kw_only=True):
    """Times that are equally likely from `low` to `high`."""

    low: Seconds
    high: Period

    @property
    def mean_seconds(self) -> float:
        """The mean."""
        return (self.low + self.high) / 2

    def draw(self, chance: np.random.Generator, count: int) -> FloatArray:
        """Return that many independent values."""
        return chance.uniform(float(self.low), float(self.high), count)


class Lognormal(Table, tag_field="distribution", tag="lognormal", frozen=True, kw_only=True):
    """Times whose logarithm is normal, given by their median and their 95th percentile."""

    median: Period
    p95: Period

    @property
    def deviation(self) -> float:
        """The standard deviation of the logarithm."""
        return math.log(self.p95 / self.median) / _P95

    @property
    def mean_seconds(self) -> float:
        """The mean."""
        return float(self.median) * math.exp(self.deviation**2 / 2)

    def draw(self, chance: np.random.Generator, count: int) -> FloatArray:
        """Return that many independent values."""
        return np.exp(chance.standard_normal(count) * self.deviation) * float(self.median)


class Measured(Table, tag_field="distribution", tag="measured", frozen=True, kw_only=True):
    """Samples of a run, in seconds; the folder is relative to the scenario's."""

    run: str
    target: str
    experiment: str
    metric: str


@dataclass(frozen=True, eq=False, slots=True)
class Samples:
    """Measured values, drawn with replacement; `emulated` if a machine without KVM gave them."""

    values: FloatArray
    emulated: bool = False

    @property
    def mean_seconds(self) -> float:
        """The mean."""
        return float(self.values.mean())

    def draw(self, chance: np.random.Generator, count: int) -> FloatArray:
        """Return that many of the values."""
        return self.values[chance.integers(0, len(self.values), count)]


Stated: TypeAlias = Fixed | Exponential | Uniform | Lognormal
Described: TypeAlias = Stated | Measured


def resolve(key: str, described: Described, folder: Path) -> Distribution:
    """Return a distribution to draw from. Raise InvalidConfig, with the key, or a run's error."""
    if isinstance(described, Measured):
        return _samples(key, described, run_folder.load(folder / described.run))
    if fault := _fault(described):
        raise InvalidConfig(f"{key}: {fault}.")
    return described


def _samples(key: str, described: Measured, run: Run) -> Samples:
    table = run.samples
    chosen = table[
        (table["experiment"] == described.experiment)
        & (table["target"] == described.target)
        & (table["metric"] == described.metric)
        & (table["unit"] == "second")
    ]
    values = chosen["value"].dropna().to_numpy(dtype=float)
    if not len(values) or values.min() <= 0:
        raise InvalidConfig(
            f"{key}: {described.run} has no times of {described.experiment}/{described.metric}"
            f" for {described.target}: `tonnage show` lists its metrics."
        )
    return Samples(values, labels.is_emulated(described.target, run))


def _fault(stated: Stated) -> str:
    if isinstance(stated, Uniform) and stated.high < stated.low:
        return f"high ({stated.high:g} s) is less than low ({stated.low:g} s)"
    if isinstance(stated, Lognormal) and stated.p95 < stated.median:
        return f"p95 ({stated.p95:g} s) is less than the median ({stated.median:g} s)"
    if isinstance(stated, Lognormal) and stated.p95 > _WIDEST * stated.median:
        return f"p95 is more than {_WIDEST:,} times the median"
    return ""
