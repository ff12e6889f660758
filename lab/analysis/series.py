"""Series of a run: the values of one metric of one target, grouped once for all figures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.results.run_folder import Run

_KEPT_RUNS = 8  # more than are compared at once


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one metric of one target, by round and in the order of measurement.

    Samples without a value are left out. `unit` is that of the first sample. Each value has a
    round, a position and a note.
    """

    experiment: str
    target: str
    metric: str
    unit: str
    rounds: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def by_round(self) -> dict[int, float]:
        """Return the median of each round that has a value."""
        return medians(self.rounds, self.values)

    def in_round(self, number: int) -> list[float]:
        """Return the values of one round."""
        return [
            value for each, value in zip(self.rounds, self.values, strict=True) if each == number
        ]

    def at_position(self, position: int) -> Series:
        """Return the values at one position of each round, such as with a number of instances."""
        at = [place for place, each in enumerate(self.positions) if each == position]
        return replace(
            self,
            rounds=[self.rounds[place] for place in at],
            values=[self.values[place] for place in at],
            positions=[position] * len(at),
            notes=[self.notes[place] for place in at],
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """A sample without a value: its metric, its round and the reason."""

    metric: str
    round: int
    reason: str


def medians(rounds: Iterable[int], values: Iterable[float]) -> dict[int, float]:
    """Return the median of the values of each round, in the order of rounds; NaN is no value."""
    return {number: median(each) for number, each in grouped(rounds, values).items()}


def grouped(rounds: Iterable[int], values: Iterable[float]) -> dict[int, list[float]]:
    """Return the values of each round, in the order of rounds; NaN is no value."""
    groups: dict[int, list[float]] = {}
    for number, value in zip(rounds, values, strict=True):
        if not math.isnan(value):
            groups.setdefault(int(number), []).append(float(value))
    return dict(sorted(groups.items()))


@lru_cache(maxsize=_KEPT_RUNS)
def series(run: Run) -> dict[tuple[str, str, str], Series]:
    """Return the series by experiment, target and metric, in the order of their first sample."""
    found: dict[tuple[str, str, str], Series] = {}
    columns = ("experiment", "target", "metric", "unit", "round", "value", "position", "note")
    for experiment, target, metric, unit, number, value, position, note in zip(
        *(run.sample_columns[name] for name in columns), strict=True
    ):
        key = (experiment, target, metric)
        if key not in found:
            found[key] = Series(*key, unit)
        if not math.isnan(value):
            found[key].rounds.append(number)
            found[key].values.append(value)
            found[key].positions.append(position)
            found[key].notes.append(note)
    return found


def one(run: Run, experiment: str, target: str, metric: str) -> Series:
    """Return the series of a metric of a target; it is empty if the run has none."""
    key = (experiment, target, metric)
    return series(run).get(key) or Series(*key, unit="")


@lru_cache(maxsize=_KEPT_RUNS)
def of_experiment(run: Run, experiment: str) -> dict[str, dict[str, Series]]:
    """Return an experiment's series by metric and target, in the order of their first sample."""
    found: dict[str, dict[str, Series]] = {}
    for (name, target, metric), each in series(run).items():
        if name == experiment:
            found.setdefault(metric, {})[target] = each
    return found


@lru_cache(maxsize=_KEPT_RUNS)
def failures(run: Run) -> dict[tuple[str, str], list[Failure]]:
    """Return the samples without a value by experiment and target, in the order of measurement."""
    found: dict[tuple[str, str], list[Failure]] = {}
    columns = ("experiment", "target", "metric", "round", "value", "censored")
    for experiment, target, metric, number, value, reason in zip(
        *(run.sample_columns[name] for name in columns), strict=True
    ):
        if math.isnan(value):
            failure = Failure(metric, number, reason)
            found.setdefault((experiment, target), []).append(failure)
    return found


@lru_cache(maxsize=_KEPT_RUNS)
def disturbed_rounds(run: Run) -> dict[str, frozenset[int]]:
    """Return the rounds in which the host was disturbed, by experiment."""
    found: dict[str, set[int]] = {}
    columns = ("experiment", "round", "disturbed")
    for experiment, number, cause in zip(
        *(run.round_columns[name] for name in columns), strict=True
    ):
        if cause:
            found.setdefault(experiment, set()).add(number)
    return {experiment: frozenset(numbers) for experiment, numbers in found.items()}
