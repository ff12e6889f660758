"""Figures of a run: the median of each metric, and the ratio of each comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from lab import metrics
from lab.analysis import labels
from lab.analysis import series as series_of_run
from lab.analysis.series import Series, grouped, medians, series
from lab.statistics.estimates import (
    Estimate,
    count_outliers,
    estimate_nested,
    paired_ratio,
    smallest_difference,
    undisturbed,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import pandas as pd

    from lab.metrics import Metric
    from lab.results.run_folder import Run

Figure = TypeVar("Figure", "Measurement", "Ratio")
_KEPT_RUNS = 8  # more than are compared at once


@dataclass(frozen=True, slots=True)
class Measurement:
    """A metric of a target: its median over rounds with the interval, in `unit`.

    `median` is None if every sample was censored; `low` and `high` are None where unknown.
    `samples` holds the values by round and position. `outliers` are counted and stay in the figure.
    `censored` counts rounds without a value because the target failed. `set_aside` counts disturbed
    rounds that are excluded from the figure; `with_all` is the figure that includes them.
    `dependence` is the number of consecutive rounds that carry as much information as one
    independent round: the interval is widened by its square root.
    """

    experiment: str
    target: str
    metric: str
    unit: str
    n: int
    median: float | None
    low: float | None
    high: float | None
    samples: list[float]
    outliers: int
    set_aside: int
    with_all: Estimate
    censored: int
    censored_reasons: list[str]
    dependence: float = 1.0


@dataclass(frozen=True, slots=True)
class Ratio:
    """A metric's ratio of target to baseline: the median of `n` ratios taken within rounds.

    For a rate it is the ratio of the costs of a unit of work, so that above 1 always means slower.
    `with_all` is the figure that includes excluded, disturbed rounds. `smallest_difference` is the
    difference that such a run detects in 95 % of cases, 0.05 for 5 %; None where unknown.
    """

    experiment: str
    metric: str
    target: str
    baseline: str
    ratio: float
    low: float | None
    high: float | None
    n: int
    with_all: Estimate
    smallest_difference: float | None


def label(target: str, run: Run) -> str:
    """Return the target's name for display; an emulated machine is labelled so."""
    return labels.target(target, run)


def metric(run: Run, experiment: str, name: str, unit: str | None = None) -> Metric:
    """Return the description of a metric that the run recorded."""
    return metrics.find(experiment, name, unit, run.workload_results)


@lru_cache(maxsize=_KEPT_RUNS)
def measurements(run: Run) -> tuple[Measurement, ...]:
    """Return every metric of every target, in the order of their first measurement."""
    return tuple(
        _measurement(each, run)
        for each in series(run).values()
        if metric(run, each.experiment, each.metric).has_median
    )


@lru_cache(maxsize=_KEPT_RUNS)
def ratios(run: Run) -> tuple[Ratio, ...]:
    """Return every metric of every target against its baselines, from rounds that have both."""
    costs = {key: costs_by_round(each, run) for key, each in series(run).items()}
    result = []
    for (experiment, target, name), each in series(run).items():
        disturbed = disturbed_rounds(each, run)
        for baseline in metric(run, experiment, name).baselines:
            theirs = costs.get((experiment, baseline, name))
            if target != baseline and theirs is not None:
                ours = costs[experiment, target, name]
                ratio = _ratio(each, baseline, ours, theirs, disturbed, run.seed)
                result += [ratio] if ratio else []
    return tuple(result)


def _ratio(
    ours: Series,
    baseline: str,
    costs: dict[int, float],
    baseline_costs: dict[int, float],
    disturbed: frozenset[int],
    seed: int,
) -> Ratio | None:
    """Return the ratio of the costs; None if no round has both."""
    estimate = paired_ratio(costs, baseline_costs, seed, disturbed)
    if estimate.centre is None:
        return None
    return Ratio(
        experiment=ours.experiment,
        metric=ours.metric,
        target=ours.target,
        baseline=baseline,
        ratio=estimate.centre,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        with_all=paired_ratio(costs, baseline_costs, seed) if disturbed else estimate,
        smallest_difference=smallest_difference(estimate),
    )


def by_round(samples: pd.DataFrame) -> dict[int, float]:
    """Return a value per round: the median of the round's values. Rounds without any are left out.

    `samples` hold a single metric of a single target.
    """
    return medians(samples["round"].tolist(), samples["value"].tolist())


def costs_by_round(of: Series, run: Run) -> dict[int, float]:
    """Return the cost of a unit of work by round: a time itself, or the inverse of a rate.

    Ratios of costs read alike for all workloads: above 1 is slower.
    """
    described = _described(of, run)
    costs = {number: described.cost(value) for number, value in of.by_round().items()}
    return {number: cost for number, cost in costs.items() if cost is not None}


def disturbed_rounds(of: Series, run: Run) -> frozenset[int]:
    """Return the rounds of the series' experiment in which the host was disturbed.

    The set is empty for counted metrics, since noise does not change a count.
    """
    if not _described(of, run).is_timed:
        return frozenset()
    return series_of_run.disturbed_rounds(run).get(of.experiment, frozenset())


def _described(of: Series, run: Run) -> Metric:
    return metric(run, of.experiment, of.metric, of.unit)


def in_order(figures: Iterable[Figure]) -> list[Figure]:
    """Return measurements or ratios by experiment, and by target in the order of all tables."""
    listed = list(figures)
    experiments = list(dict.fromkeys(each.experiment for each in listed))
    targets = labels.in_order({each.target for each in listed})
    return sorted(
        listed, key=lambda each: (experiments.index(each.experiment), targets.index(each.target))
    )


def is_exact(measurement: Measurement) -> bool:
    """Return True for a count that was the same in every round."""
    is_count = metrics.find(measurement.experiment, measurement.metric).kind == "count"
    return is_count and len(set(measurement.samples)) == 1


def _measurement(of: Series, run: Run) -> Measurement:
    rounds = of.by_round()
    quiet = undisturbed(rounds, disturbed_rounds(of, run))
    values = grouped(of.rounds, of.values)
    chosen = [values[number] for number in quiet]
    estimate = estimate_nested(chosen, run.seed)
    is_set_aside = len(quiet) < len(rounds)
    reasons = _failures(of, rounds, run)
    return Measurement(
        experiment=of.experiment,
        target=of.target,
        metric=of.metric,
        unit=of.unit,
        n=sum(map(len, chosen)),
        median=estimate.centre,
        low=estimate.low,
        high=estimate.high,
        samples=list(of.values),
        outliers=count_outliers(list(quiet.values())),
        set_aside=len(rounds) - len(quiet),
        with_all=estimate_nested(list(values.values()), run.seed) if is_set_aside else estimate,
        censored=len(reasons),
        censored_reasons=reasons,
        dependence=estimate.dependence,
    )


def _failures(of: Series, finished: Collection[int], run: Run) -> list[str]:
    """Return the reasons why rounds lack a value of the metric, preferring the metric's own.

    A failed start is recorded once and has no value of any metric.
    """
    reasons: dict[int, str] = {}
    failed = series_of_run.failures(run).get((of.experiment, of.target), [])
    for failure in sorted(failed, key=lambda each: (each.round, each.metric != of.metric)):
        if failure.round not in finished:
            reasons.setdefault(failure.round, failure.reason)
    return list(reasons.values())
