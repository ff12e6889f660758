"""Start times: how long an instance takes from its request until it answers.

A host that starts many instances at once starts each of them later. Where a run measured it (the
experiment `burst`), the time is drawn conditional on how many instances the node is starting: from
the quantiles that a round measured at the two counts next to that number, interpolated between them
on logarithmic scales. Beyond the largest measured count the host goes on at the rate that it had
there. To the first instruction, which `burst` measures, comes the time from there until `ready`,
drawn from the rounds of the experiment `startup`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lab.analysis import labels
from lab.errors import InvalidConfig
from lab.results import run_folder
from lab.scaling import distributions, scalability
from lab.scaling.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from lab.results.run_folder import Run
    from lab.scaling.arrays import FloatArray, IntArray
    from lab.scaling.distributions import Described, Distribution
    from lab.scaling.scalability import Scalability

# The quantiles of a round; its first start and its last are the ends.
SHARES = np.array([0.0, 0.5, 0.95, 0.99, 1.0])
_PERCENTILES = ("latency-p50", "latency-p95", "latency-p99")


class Burst(Table, tag_field="distribution", tag="burst", frozen=True, kw_only=True):
    """The starts that a run measured; the folder is relative to the scenario's."""

    run: str
    target: str


class StartTimes(Protocol):
    """Start times of one kind of instance. `emulated` says that a machine without KVM gave them."""

    @property
    def emulated(self) -> bool:
        """True if an emulated machine gave the times."""

    @property
    def largest_count(self) -> int | None:
        """The largest number of starts at once that was measured; None if it does not matter."""

    def draw(self, chance: np.random.Generator, at_once: FloatArray) -> FloatArray:
        """Return a time for each instance, given how many its node is starting at once."""

    def law(self) -> Scalability | None:
        """Return the law of a node's starts per second; None if it is unknown."""


@dataclass(frozen=True, slots=True)
class Independent:
    """Start times that do not depend on the number of starts at once."""

    distribution: Distribution

    @property
    def emulated(self) -> bool:
        """True if an emulated machine gave the times."""
        return getattr(self.distribution, "emulated", False)

    @property
    def largest_count(self) -> int | None:
        """None: the number of starts at once does not matter."""
        return None

    def draw(self, chance: np.random.Generator, at_once: FloatArray) -> FloatArray:
        """Return independent times."""
        return self.distribution.draw(chance, len(at_once))

    def law(self) -> Scalability | None:
        """Return None: nothing is known of many starts at once."""
        return None


@dataclass(frozen=True, eq=False, slots=True)
class Conditional:
    """Measured start times, conditional on the number of starts at once.

    `counts` are the measured numbers, ascending. `quantiles` has for each round, count and share of
    SHARES a time until the first instruction; `until_ready` has times from there on. `rates` has
    each measured number at once with its starts per second.
    """

    counts: FloatArray
    quantiles: FloatArray
    until_ready: FloatArray
    emulated: bool
    rates: FloatArray = field(default_factory=lambda: np.empty((0, 2)))

    def law(self) -> Scalability | None:
        """Return the Universal Scalability Law of starts per second; None with too few counts."""
        counts, rates = self.rates.T.tolist()
        return scalability.fit(counts, rates)

    @property
    def largest_count(self) -> int | None:
        """The largest number of starts at once that was measured."""
        return int(self.counts[-1])

    def draw(self, chance: np.random.Generator, at_once: FloatArray) -> FloatArray:
        """Return a time for each instance, given how many its node is starting at once."""
        count = len(at_once)
        rounds = chance.integers(0, len(self.quantiles), count)
        shares = chance.random(count)
        upper = np.clip(np.searchsorted(self.counts, at_once), 0, len(self.counts) - 1)
        lower = np.where(self.counts[upper] <= at_once, upper, np.maximum(upper - 1, 0))
        low, high = (self._at(rounds, place, shares) for place in (lower, upper))
        span = np.log(self.counts[upper] / self.counts[lower])
        within = np.log(np.maximum(at_once, self.counts[0]) / self.counts[lower])
        weight = np.divide(within, span, out=np.zeros(count), where=span > 0)
        times = low * (high / low) ** weight
        beyond = np.maximum(at_once / self.counts[-1], 1.0)
        ready = self.until_ready[chance.integers(0, len(self.until_ready), count)]
        result: FloatArray = times * beyond + ready
        return result

    def _at(self, rounds: IntArray, places: IntArray, shares: FloatArray) -> FloatArray:
        """Return each round's quantile at a measured count."""
        upper = np.clip(np.searchsorted(SHARES, shares, side="right"), 1, len(SHARES) - 1)
        low, high = (self.quantiles[rounds, places, at] for at in (upper - 1, upper))
        begin, end = SHARES[upper - 1], SHARES[upper]
        result: FloatArray = low + (high - low) * (shares - begin) / (end - begin)
        return result


def resolve(key: str, described: Described | Burst, folder: Path) -> StartTimes:
    """Return the start times of a variant. Raise InvalidConfig, with the key, or a run's error."""
    if isinstance(described, Burst):
        return measured(key, run_folder.load(folder / described.run), described.target)
    return Independent(distributions.resolve(key, described, folder))


def measured(key: str, run: Run, target: str) -> Conditional:
    """Return a target's starts as a run measured them. Raise InvalidConfig with the key."""
    samples = run.samples
    ours = samples[(samples["experiment"] == "burst") & (samples["target"] == target)]
    table = ours.dropna(subset=["value"]).pivot_table(
        index=["round", "position"], columns="metric", values="value", aggfunc="median"
    )
    wanted = [*_PERCENTILES, "started-per-second"]
    missing = [name for name in wanted if name not in table.columns]
    complete = table if missing else table.dropna(subset=wanted)
    if missing or complete.empty:
        raise InvalidConfig(
            f"{key}: {run.path} did not measure bursts of {target}: choose a run with the"
            " experiment burst and this target, or state a distribution."
        )
    number = complete.index.get_level_values("round").to_numpy(dtype=int)
    counts = complete.index.get_level_values("position").to_numpy(dtype=float)
    values = complete[wanted].to_numpy(dtype=float)
    common = _common_counts(number, counts)
    rounds = [
        _quantiles(common, counts[number == each], values[number == each])
        for each in np.unique(number)
    ]
    return Conditional(
        common,
        np.array(rounds),
        _until_ready(run, target),
        labels.is_emulated(target, run),
        np.column_stack((counts, values[:, -1])),
    )


def _common_counts(number: IntArray, counts: FloatArray) -> FloatArray:
    """Return the counts that every round measured."""
    each = [set(counts[number == one].tolist()) for one in np.unique(number)]
    shared = set.intersection(*each)
    return np.array(sorted(shared or each[0]))


def _quantiles(common: FloatArray, counts: FloatArray, values: FloatArray) -> FloatArray:
    """Return one round's quantiles: a row for each common count, a column for each share."""
    rows = []
    first = values[np.argmin(counts), 0]  # the median at the smallest count
    for count in common:
        p50, p95, p99, per_second = values[np.argmin(np.abs(counts - count))]
        last = count / per_second
        rows.append(np.maximum.accumulate([min(first, p50), p50, p95, p99, max(last, p99)]))
    return np.array(rows)


def _until_ready(run: Run, target: str) -> FloatArray:
    """Return the times from the first instruction until ready; zero if the run has none."""
    samples = run.samples
    ours = samples[(samples["experiment"] == "startup") & (samples["target"] == target)]
    begin, end = (
        ours[ours["metric"] == name].dropna(subset=["value"]).groupby("round")["value"].median()
        for name in ("first-instruction", "ready")
    )
    between = (end - begin).dropna().to_numpy(dtype=float)
    return np.maximum(between, 0.0) if len(between) else np.zeros(1)
