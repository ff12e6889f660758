"""How many rounds an experiment gets: planned, or as many as the precision asked for takes.

Two stages (Stein, "A two-sample test for a linear hypothesis whose power is independent of the
variance", Annals of Mathematical Statistics 1945). The first is a pilot of a size fixed beforehand.
How far its values scatter, and nothing else, sets the number of rounds, once: an interval narrows
with the square root of their number. Nobody looks at the figures again until all rounds are done,
so that the interval holds what it says; stopping when it looks narrow enough would not. All rounds
count, the pilot's too. (What that costs in coverage: next to nothing, since where a median lies and
how far its values scatter are nearly independent. tests/lab/statistics/test_stopping_rule.py
simulates it.)

Precision is the width of the whole interval relative to its centre. A difference as large as that
is then found in at least 95 % of runs.
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
    """How an experiment's rounds ended, for the record.

    `ended_by` is `plan` where the number was fixed beforehand, `precision` where the pilot set it,
    `budget` where time ran out before. `widths` are those of the intervals that decide, relative to
    their centres, by what they are of; None where there was no interval.
    """

    rounds: int
    ended_by: End
    precision: float | None
    needed: int | None
    widths: dict[str, float | None]


class Rounds:
    """The rounds of one experiment: asked before each whether there is to be one more.

    `end_ns` is when the last must be over, by CLOCK_MONOTONIC: none is begun that would go on
    beyond it if it took as long as the longest so far.
    """

    def __init__(self, planned: int, precision: float | None, end_ns: int | None) -> None:
        self._precision = precision
        self._end_ns = end_ns
        self.wanted = planned if precision is None else max(PILOT_ROUNDS, planned)
        self._pilot = self.wanted
        self._needed: int | None = None
        self._rounds: list[list[Sample]] = []
        self._longest_ns = 0
        self._out_of_time = False

    def more(self) -> bool:
        """Whether another round is to begin now."""
        if len(self._rounds) >= self.wanted:
            return False
        expected_ns = time.monotonic_ns() + self._longest_ns
        self._out_of_time = self._end_ns is not None and expected_ns > self._end_ns
        return not self._out_of_time

    def done(self, samples: list[Sample], took_ns: int) -> None:
        """One round is over; after the pilot's last, the number of rounds is set."""
        self._rounds.append(samples)
        self._longest_ns = max(self._longest_ns, took_ns)
        if self._precision is not None and len(self._rounds) == self._pilot:
            widths = self._widths().values()
            known = [width for width in widths if width is not None]
            self._needed = rounds_needed(known, self._precision, self._pilot)
            self.wanted = max(self.wanted, self._needed)

    def outcome(self) -> Outcome:
        """How it ended."""
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
    """A time that is kept, shared out among experiments: what one leaves, the next may use."""

    def __init__(self, seconds: float | None, experiments: int) -> None:
        self._end_ns = None if seconds is None else time.monotonic_ns() + int(seconds * 1e9)
        self._left = experiments

    def next_end_ns(self) -> int | None:
        """When the next experiment must be over; None if there is no hurry."""
        if self._end_ns is None:
            return None
        now_ns = time.monotonic_ns()
        share_ns = (self._end_ns - now_ns) // self._left
        self._left -= 1
        return now_ns + share_ns


def rounds_needed(widths: Iterable[float], precision: float, pilot: int) -> int:
    """As many rounds as bring the widest of a pilot's intervals to the precision."""
    widest = max(widths, default=0.0)
    return max(pilot, math.ceil(pilot * (widest / precision) ** 2))


def relative_widths(samples: list[Sample]) -> dict[str, float | None]:
    """The widths that decide: of target / first target of each metric, by its name.

    They are of the targets that took part in most rounds: one that joins only some, being slow,
    gets the precision that it gets. With a single target they are of its medians.
    """
    values = _by_metric(samples)
    rounds = len({sample.round for sample in samples})
    found: dict[str, Estimate] = {}
    for metric, by_target in values.items():
        steady = {name: each for name, each in by_target.items() if 2 * len(each) > rounds}
        if not steady:
            continue
        baseline, *others = sorted(steady, key=_baseline_first)
        for other in others:
            name = f"{other} / {baseline}, {metric}"
            found[name] = paired_ratio(steady[other], steady[baseline])
        if not others:
            found[f"{baseline}, {metric}"] = estimate_median(list(steady[baseline].values()))
    return {name: relative_width(each) for name, each in found.items()}


def _by_metric(samples: list[Sample]) -> dict[str, dict[str, dict[int, float]]]:
    """What was timed, one value a round, by metric, target and round."""
    found: dict[str, dict[str, dict[int, list[float]]]] = {}
    for sample in samples:
        if (
            sample.value is not None
            and metrics.find(sample.experiment, sample.metric, sample.unit).decides
        ):
            rounds = found.setdefault(sample.metric, {}).setdefault(sample.target, {})
            rounds.setdefault(sample.round, []).append(sample.value)
    return {
        metric: {
            target: {number: median(values) for number, values in rounds.items()}
            for target, rounds in by_target.items()
        }
        for metric, by_target in found.items()
    }


def _baseline_first(target: str) -> tuple[bool, bool, str]:
    return target != "native", target != "container", target


def relative_width(found: Estimate) -> float | None:
    """The width of an interval relative to its centre; None where there is none."""
    if found.low is None or found.high is None or not found.centre:
        return None
    return (found.high - found.low) / found.centre
