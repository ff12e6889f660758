"""Figures of a run: the median of each metric, and the ratio of each comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from lab import metrics
from lab.statistics.estimates import (
    Estimate,
    count_outliers,
    estimate_nested,
    paired_ratio,
    smallest_difference,
    undisturbed,
)
from lab.targets.registry import MACHINES

if TYPE_CHECKING:
    import pandas as pd

    from lab.metrics import Metric
    from lab.results.run_folder import Run

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
    emulated = target in MACHINES and run.settings.get("accelerator") == "tcg"
    return f"{target} (emulated)" if emulated else target


def metric(run: Run, experiment: str, name: str, unit: str | None = None) -> Metric:
    """Return the description of a metric that the run recorded."""
    return metrics.find(experiment, name, unit, run.workload_results)


@lru_cache(maxsize=_KEPT_RUNS)
def measurements(run: Run) -> tuple[Measurement, ...]:
    """Return every metric of every target, in the order of their first measurement."""
    return tuple(
        _measurement(str(experiment), str(target), str(name), samples, run)
        for (experiment, target, name), samples in run.samples.groupby(
            ["experiment", "target", "metric"], sort=False
        )
        if metric(run, str(experiment), str(name)).has_median
    )


@lru_cache(maxsize=_KEPT_RUNS)
def ratios(run: Run) -> tuple[Ratio, ...]:
    """Return every metric of every target against its baselines, from rounds that have both."""
    rounds = {
        (str(experiment), str(name), str(target)): samples
        for (experiment, name, target), samples in run.samples.groupby(
            ["experiment", "metric", "target"], sort=False
        )
    }
    result = []
    for (experiment, name, target), ours in rounds.items():
        for baseline in metric(run, experiment, name).baselines:
            theirs = rounds.get((experiment, name, baseline))
            if target != baseline and theirs is not None:
                ratio = _ratio((experiment, name, target, baseline), ours, theirs, run)
                result += [ratio] if ratio else []
    return tuple(result)


def _ratio(
    key: tuple[str, str, str, str], ours: pd.DataFrame, theirs: pd.DataFrame, run: Run
) -> Ratio | None:
    """Return the ratio of the samples; None if no round has both."""
    values, baselines = costs_by_round(ours, run), costs_by_round(theirs, run)
    disturbed = disturbed_rounds(ours, run)
    estimate = paired_ratio(values, baselines, run.seed, disturbed)
    if estimate.centre is None:
        return None
    experiment, name, target, baseline = key
    return Ratio(
        experiment=experiment,
        metric=name,
        target=target,
        baseline=baseline,
        ratio=estimate.centre,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        with_all=paired_ratio(values, baselines, run.seed) if disturbed else estimate,
        smallest_difference=smallest_difference(estimate),
    )


def by_round(samples: pd.DataFrame) -> dict[int, float]:
    """Return a value per round: the median of the round's values. Rounds without any are left out.

    `samples` hold a single metric of a single target.
    """
    medians = samples.dropna(subset=["value"]).groupby("round")["value"].median()
    return {int(number): float(value) for number, value in medians.items()}  # type: ignore[call-overload]


def costs_by_round(samples: pd.DataFrame, run: Run) -> dict[int, float]:
    """Return the cost of a unit of work by round: a time itself, or the inverse of a rate.

    Ratios of costs read alike for all workloads: above 1 is slower. `samples` are of a single
    metric.
    """
    values = by_round(samples)
    if not values:
        return values
    described = _described(samples, run)
    costs = {number: described.cost(value) for number, value in values.items()}
    return {number: cost for number, cost in costs.items() if cost is not None}


def disturbed_rounds(samples: pd.DataFrame, run: Run) -> frozenset[int]:
    """Return the rounds of these samples' experiment in which the host was disturbed.

    The set is empty for counted metrics, since noise does not change a count.
    """
    if samples.empty or not _described(samples, run).is_timed:
        return frozenset()
    rounds = run.rounds[run.rounds["experiment"] == samples["experiment"].iloc[0]]
    return frozenset(int(number) for number in rounds.loc[rounds["disturbed"] != "", "round"])


def _described(samples: pd.DataFrame, run: Run) -> Metric:
    first = samples.iloc[0]
    return metric(run, str(first["experiment"]), str(first["metric"]), str(first["unit"]))


def is_exact(measurement: Measurement) -> bool:
    """Return True for a count that was the same in every round."""
    is_count = metrics.find(measurement.experiment, measurement.metric).kind == "count"
    return is_count and len(set(measurement.samples)) == 1


def _measurement(
    experiment: str, target: str, name: str, samples: pd.DataFrame, run: Run
) -> Measurement:
    values = samples.dropna(subset=["value"])
    rounds = by_round(samples)
    quiet = undisturbed(rounds, disturbed_rounds(samples, run))
    chosen = values[values["round"].isin(list(quiet))]
    estimate = _estimate(chosen, run)
    reasons = _failures(experiment, target, name, rounds, run)
    return Measurement(
        experiment=experiment,
        target=target,
        metric=name,
        unit=str(samples["unit"].iloc[0]),
        n=len(chosen),
        median=estimate.centre,
        low=estimate.low,
        high=estimate.high,
        samples=[float(value) for value in values["value"]],
        outliers=count_outliers(list(quiet.values())),
        set_aside=len(rounds) - len(quiet),
        with_all=_estimate(values, run) if len(quiet) < len(rounds) else estimate,
        censored=len(reasons),
        censored_reasons=reasons,
        dependence=estimate.dependence,
    )


def _estimate(values: pd.DataFrame, run: Run) -> Estimate:
    """Return the median over rounds; its interval comes from the differences between rounds."""
    return estimate_nested([list(each) for _, each in values.groupby("round")["value"]], run.seed)


def _failures(
    experiment: str, target: str, name: str, finished: dict[int, float], run: Run
) -> list[str]:
    """Return the reasons why rounds lack a value of the metric, preferring the metric's own.

    A failed start is recorded once and has no value of any metric.
    """
    censored = _censored(run)
    failed = censored[
        (censored["experiment"] == experiment)
        & (censored["target"] == target)
        & ~censored["round"].isin(list(finished))
    ]
    own_first = failed.assign(other=failed["metric"] != name).sort_values(["round", "other"])
    return [str(reason) for reason in own_first.drop_duplicates("round")["censored"]]


@lru_cache(maxsize=_KEPT_RUNS)
def _censored(run: Run) -> pd.DataFrame:
    return run.samples[run.samples["value"].isna()]
