"""The number of rounds of an experiment: fixed by the plan, or set by the requested precision.

There are two stages (Stein, "A two-sample test for a linear hypothesis whose power is independent
of the variance", Annals of Mathematical Statistics 1945). The first is a pilot of a fixed size. The
scatter of its values, and nothing else, sets the number of rounds, once: an interval narrows with
the square root of that number. The figures are not looked at again until all rounds are measured,
so that the interval keeps its confidence level; stopping as soon as it looks narrow enough would
not. All rounds count, including the pilot's. (This costs almost no coverage, since a median and the
scatter of its values are nearly independent; tests/lab/statistics/test_stopping_rule.py simulates
it.)

Precision is the width of the whole interval relative to its centre. A difference of that size is
then detected in at least 95 % of runs.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal

from lab import metrics
from lab.statistics.estimates import Estimate, estimate_median, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.results.sample import Sample

PILOT_ROUNDS = 10

End = Literal["plan", "precision", "budget"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The number of an experiment's rounds, and the reason for it, as run.json records them.

    `ended_by` is `plan` if the number was fixed beforehand, `precision` if the pilot set it, and
    `budget` if the time ran out first. `widths` has the relative widths of the deciding intervals,
    by the name of their figure; None where there was no interval.
    """

    rounds: int
    ended_by: End
    precision: float | None
    needed: int | None
    widths: dict[str, float | None]


class Rounds:
    """The stopping rule of one experiment, which is asked before each round.

    `end_ns` is the deadline of the last round, on CLOCK_MONOTONIC: a round does not begin if it
    would miss the deadline by taking as long as the longest round so far.
    """

    def __init__(self, planned: int, precision: float | None, end_ns: int | None) -> None:
        self._precision = precision
        self._end_ns = end_ns
        self.total = planned if precision is None else max(PILOT_ROUNDS, planned)
        self._pilot = self.total
        self._needed: int | None = None
        self._rounds: list[list[Sample]] = []
        self._longest_ns = 0
        self._out_of_time = False

    def more(self) -> bool:
        """Return True if another round should begin now."""
        if len(self._rounds) >= self.total:
            return False
        expected_ns = time.monotonic_ns() + self._longest_ns
        self._out_of_time = self._end_ns is not None and expected_ns > self._end_ns
        return not self._out_of_time

    def record(self, samples: list[Sample], took_ns: int) -> None:
        """Record a finished round; the last round of the pilot sets the number of rounds."""
        self._rounds.append(samples)
        self._longest_ns = max(self._longest_ns, took_ns)
        if self._precision is not None and len(self._rounds) == self._pilot:
            widths = self._widths().values()
            known = [width for width in widths if width is not None]
            self._needed = rounds_needed(known, self._precision, self._pilot)
            self.total = max(self.total, self._needed)

    def outcome(self) -> Outcome:
        """Return how the rounds ended."""
        by: End = "plan" if self._precision is None else "precision"
        return Outcome(
            rounds=len(self._rounds),
            ended_by="budget" if self._out_of_time else by,
            precision=self._precision,
            needed=self._needed,
            widths={} if self._precision is None else self._widths(),
        )

    def _widths(self) -> dict[str, float | None]:
        return relative_widths([sample for samples in self._rounds for sample in samples])


class Budget:
    """A time limit that experiments share; time that one does not use is left to the next."""

    def __init__(self, seconds: float | None, experiments: int) -> None:
        self._end_ns = None if seconds is None else time.monotonic_ns() + int(seconds * 1e9)
        self._left = experiments

    def next_end_ns(self) -> int | None:
        """Return the deadline of the next experiment; None if there is no limit."""
        if self._end_ns is None:
            return None
        now_ns = time.monotonic_ns()
        share_ns = (self._end_ns - now_ns) // self._left
        self._left -= 1
        return now_ns + share_ns


def rounds_needed(widths: Iterable[float], precision: float, pilot: int) -> int:
    """Return the number of rounds that narrows the pilot's widest interval to the precision."""
    widest = max(widths, default=0.0)
    return max(pilot, math.ceil(pilot * (widest / precision) ** 2))


def relative_widths(samples: list[Sample]) -> dict[str, float | None]:
    """Return the relative widths of the deciding intervals, by the name of their figure.

    The figures are the ratios of each target to the first target, for each metric. Only targets
    that took part in most rounds decide; a slow target that joins a few rounds does not. With a
    single target, the figures are its medians.
    """
    values = _by_metric(samples)
    rounds = len({sample.round for sample in samples})
    estimates: dict[str, Estimate] = {}
    for metric, by_target in values.items():
        steady = {name: each for name, each in by_target.items() if 2 * len(each) > rounds}
        if not steady:
            continue
        baseline, *others = sorted(steady, key=_baseline_first)
        for other in others:
            name = f"{other} / {baseline}, {metric}"
            estimates[name] = paired_ratio(steady[other], steady[baseline])
        if not others:
            estimates[f"{baseline}, {metric}"] = estimate_median(list(steady[baseline].values()))
    return {name: relative_width(each) for name, each in estimates.items()}


def _by_metric(samples: list[Sample]) -> dict[str, dict[str, dict[int, float]]]:
    """Return the deciding values, a median per round, by metric, target and round."""
    values: dict[str, dict[str, dict[int, list[float]]]] = {}
    for sample in samples:
        if (
            sample.value is not None
            and metrics.find(sample.experiment, sample.metric, sample.unit).decides
        ):
            rounds = values.setdefault(sample.metric, {}).setdefault(sample.target, {})
            rounds.setdefault(sample.round, []).append(sample.value)
    return {
        metric: {
            target: {number: median(each) for number, each in rounds.items()}
            for target, rounds in by_target.items()
        }
        for metric, by_target in values.items()
    }


def _baseline_first(target: str) -> tuple[bool, bool, str]:
    return target != "native", target != "container", target


def relative_width(estimate: Estimate) -> float | None:
    """Return the width of an interval relative to its centre; None if there is no interval."""
    if estimate.low is None or estimate.high is None or not estimate.centre:
        return None
    return (estimate.high - estimate.low) / estimate.centre
