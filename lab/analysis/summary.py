"""Figures of a run: the median of each metric, and the ratio of each comparison."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

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
    from collections.abc import Collection

    import pandas as pd

    from lab.results.run_folder import Run

# The baselines that each target is compared with, within the same round.
BASELINES = {
    "startup": ("native", "container"),
    "footprint": ("container",),
    "density": ("container",),
    "performance": ("native",),
}
# Curves over the number of instances; their median would mean nothing.
SERIES = frozenset(
    {
        "memory-available",
        "memory-pss",
        "answer-p50",
        "answer-p99",
        "latency-p50",
        "latency-p95",
        "latency-p99",
        "started-per-second",
    }
)
_WITH_SERIES = ("density", "burst")
_BESIDE_WORKLOADS = ("cpu: ", "clock: ")  # metrics that explain a workload's result
_KEPT_RUNS = 8  # more than are compared at once
_BEGIN = "begin: "  # when a step of a start began
_STEP = "step: "  # steps of two targets differ even if their names are equal
# Counted, not sampled: a single count is exact.
COUNTED = frozenset(
    {
        "image-compressed",
        "image-on-disk",
        "image-apparent",
        "image-unique",
        "own-kernel",
        "processes-inside",
        "same-user-land",
        "neighbours-seen",
        "running",
        "answering",
    }
)
COUNTED_UNITS = frozenset({"byte", "integer"})


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


@lru_cache(maxsize=_KEPT_RUNS)
def measurements(run: Run) -> tuple[Measurement, ...]:
    """Return every metric of every target, in the order of their first measurement."""
    return tuple(
        _measurement(str(experiment), str(target), str(metric), samples, run)
        for (experiment, target, metric), samples in run.samples.groupby(
            ["experiment", "target", "metric"], sort=False
        )
        if not _is_curve(str(experiment), str(metric))
    )


@lru_cache(maxsize=_KEPT_RUNS)
def ratios(run: Run) -> tuple[Ratio, ...]:
    """Return every metric of every target against its baselines, from rounds that have both."""
    rounds = {
        (str(experiment), str(metric), str(target)): samples
        for (experiment, metric, target), samples in run.samples.groupby(
            ["experiment", "metric", "target"], sort=False
        )
        if not _is_curve(str(experiment), str(metric))
        and not (experiment == "startup" and str(metric).startswith(_STEP))
        and not (experiment == "density" and is_beside("density", str(metric)))
    }
    result = []
    for (experiment, metric, target), ours in rounds.items():
        for baseline in BASELINES.get(experiment, ()):
            theirs = rounds.get((experiment, metric, baseline))
            if target == baseline or theirs is None:
                continue
            values, pairs = costs_by_round(ours, run), costs_by_round(theirs, run)
            disturbed = disturbed_rounds(ours, run)
            estimate = paired_ratio(values, pairs, seed(run), disturbed)
            if estimate.centre is not None:
                result.append(
                    Ratio(
                        experiment=experiment,
                        metric=metric,
                        target=target,
                        baseline=baseline,
                        ratio=estimate.centre,
                        low=estimate.low,
                        high=estimate.high,
                        n=estimate.n,
                        with_all=paired_ratio(values, pairs, seed(run)) if disturbed else estimate,
                        smallest_difference=smallest_difference(estimate),
                    )
                )
    return tuple(result)


def by_round(samples: pd.DataFrame) -> dict[int, float]:
    """Return a value per round: the median of the round's values. Rounds without any are left out.

    `samples` hold a single metric of a single target.
    """
    medians = samples.dropna(subset=["value"]).groupby("round")["value"].median()
    return {int(number): float(value) for number, value in medians.items()}  # type: ignore[call-overload]


def costs_by_round(samples: pd.DataFrame, run: Run) -> dict[int, float]:
    """Return the cost of a unit of work by round: a time itself, or the inverse of a rate.

    Ratios of costs read alike for all workloads: above 1 is slower.
    """
    values = by_round(samples)
    if values and str(samples["metric"].iloc[0]) in _rates(run):
        return {number: 1 / value for number, value in values.items() if value}
    return values


def _rates(run: Run) -> set[str]:
    """Return the metrics of which more is better."""
    return {
        metric
        for workload in run.settings.get("workloads", {}).values()
        for metric, result in workload["results"].items()
        if result["better"] == "more"
    }


def is_beside(experiment: str, metric: str, figures: Collection[str] = ()) -> bool:
    """Return True for a metric that only explains another, such as its CPU time or its steps.

    `figures` are the names of the workloads' results, which may have any name.
    """
    if experiment == "performance":
        return metric.startswith(_BESIDE_WORKLOADS) and metric not in figures
    return ": " in metric


def figures_of_workloads(run: Run) -> frozenset[str]:
    """Return the names of the workloads' results, as far as the run describes them."""
    described = run.settings.get("workloads", {}).values()
    return frozenset(metric for workload in described for metric in workload["results"])


def _is_curve(experiment: str, metric: str) -> bool:
    if experiment == "startup":
        return metric.startswith(_BEGIN)
    return experiment in _WITH_SERIES and metric in SERIES


def disturbed_rounds(samples: pd.DataFrame, run: Run) -> frozenset[int]:
    """Return the rounds of these samples' experiment in which the host was disturbed.

    The set is empty for counted metrics, since noise does not change a count.
    """
    if samples.empty or samples["unit"].iloc[0] in COUNTED_UNITS:
        return frozenset()
    rounds = run.rounds[run.rounds["experiment"] == samples["experiment"].iloc[0]]
    return frozenset(int(number) for number in rounds.loc[rounds["disturbed"] != "", "round"])


def is_exact(measurement: Measurement) -> bool:
    """Return True for a count that was the same in every round."""
    is_counted = measurement.experiment != "performance" and measurement.metric in COUNTED
    return is_counted and len(set(measurement.samples)) == 1


def _measurement(
    experiment: str, target: str, metric: str, samples: pd.DataFrame, run: Run
) -> Measurement:
    values = samples.dropna(subset=["value"])
    rounds = by_round(samples)
    quiet = undisturbed(rounds, disturbed_rounds(samples, run))
    chosen = values[values["round"].isin(list(quiet))]
    estimate = _estimate(chosen, run)
    reasons = _failures(experiment, target, metric, rounds, run)
    return Measurement(
        experiment=experiment,
        target=target,
        metric=metric,
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
    return estimate_nested([list(each) for _, each in values.groupby("round")["value"]], seed(run))


def _failures(
    experiment: str, target: str, metric: str, finished: dict[int, float], run: Run
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
    own_first = failed.assign(other=failed["metric"] != metric).sort_values(["round", "other"])
    return [str(reason) for reason in own_first.drop_duplicates("round")["censored"]]


@lru_cache(maxsize=_KEPT_RUNS)
def _censored(run: Run) -> pd.DataFrame:
    return run.samples[run.samples["value"].isna()]


def seed(run: Run) -> int:
    """Return the run's seed, which resampling uses so that figures are reproducible."""
    value = run.settings.get("seed", 0)
    return value if isinstance(value, int) else 0
