"""A run as figures: a median for each thing measured, a ratio for each thing compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lab import tables, units
from lab.analysis import provenance
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
    from rich.console import Console

    from lab.results.run_folder import Run

# What a target is compared with, in the same round.
BASELINES = {
    "startup": ("native", "container"),
    "footprint": ("container",),
    "density": ("container",),
    "performance": ("native",),
}
# Against a number of instances these are curves; a median of them would mean nothing.
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
_BESIDE_WORKLOADS = ("cpu: ", "clock: ")  # of what stands beside the workloads' results
_KEPT_RUNS = 8  # more than are compared at a time
_BEGIN = "begin: "  # of a step of a start: where it is drawn
_STEP = "step: "  # one target's step is not another's, though both may be called alike
# Counted, not sampled: the same every time, so that one count is exact.
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

_COLUMNS = ("target", "metric", "median", "95 % interval", "n", "far out", "set aside", "failed")
_RATIO_COLUMNS = (
    "compared",
    "metric",
    "ratio",
    "95 % interval",
    "rounds",
    "with all rounds",
    "sees",
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One metric of one target: the median over rounds and its interval, in `unit`.

    `median` is None if every sample was censored; `low` and `high` are None where they are
    unknown. `samples` holds what was measured, by round and position, and `outliers` counts those
    far out, which are in the figure; `censored` counts rounds that have no value since the target
    failed. `set_aside` counts rounds that were disturbed and are not in the figure; `with_all` is
    the figure with them. `dependence` says how many rounds in a row told as much as an independent
    one: the interval is wider by its root.
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
    """Target / baseline of one metric: the median of the `n` ratios taken within rounds.

    Of a rate it is the ratio of what a unit of work costs: above 1 is slower for all workloads.
    `with_all` is the figure with the disturbed rounds that were set aside. `smallest_difference` is
    what such a run finds in 95 % of cases, 0.05 for 5 %; None where it is unknown.
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
    """The target's name as it is shown; a machine that was emulated is called so."""
    emulated = target in MACHINES and run.settings.get("accelerator") == "tcg"
    return f"{target} (emulated)" if emulated else target


@lru_cache(maxsize=_KEPT_RUNS)
def measurements(run: Run) -> tuple[Measurement, ...]:
    """Every metric of every target, in the order in which they were first measured."""
    return tuple(
        _measurement(str(experiment), str(target), str(metric), samples, run)
        for (experiment, target, metric), samples in run.samples.groupby(
            ["experiment", "target", "metric"], sort=False
        )
        if not _is_curve(str(experiment), str(metric))
    )


@lru_cache(maxsize=_KEPT_RUNS)
def ratios(run: Run) -> tuple[Ratio, ...]:
    """Every metric of every target against its baselines, from the rounds that have both."""
    rounds = {
        (str(experiment), str(metric), str(target)): samples
        for (experiment, metric, target), samples in run.samples.groupby(
            ["experiment", "metric", "target"], sort=False
        )
        if not _is_curve(str(experiment), str(metric))
        and not (experiment == "startup" and str(metric).startswith(_STEP))
        and not (experiment == "density" and is_beside("density", str(metric)))
    }
    found = []
    for (experiment, metric, target), ours in rounds.items():
        for baseline in BASELINES.get(experiment, ()):
            theirs = rounds.get((experiment, metric, baseline))
            if target == baseline or theirs is None:
                continue
            values, pairs = costs_by_round(ours, run), costs_by_round(theirs, run)
            disturbed = disturbed_rounds(ours, run)
            made = paired_ratio(values, pairs, seed(run), disturbed)
            if made.centre is not None:
                found.append(
                    Ratio(
                        experiment=experiment,
                        metric=metric,
                        target=target,
                        baseline=baseline,
                        ratio=made.centre,
                        low=made.low,
                        high=made.high,
                        n=made.n,
                        with_all=paired_ratio(values, pairs, seed(run)) if disturbed else made,
                        smallest_difference=smallest_difference(made),
                    )
                )
    return tuple(found)


def by_round(samples: pd.DataFrame) -> dict[int, float]:
    """One value a round, the median where the round has several; rounds without one are left out.

    `samples` are of one metric of one target.
    """
    medians = samples.dropna(subset=["value"]).groupby("round")["value"].median()
    return {int(number): float(value) for number, value in medians.items()}  # type: ignore[call-overload]


def costs_by_round(samples: pd.DataFrame, run: Run) -> dict[int, float]:
    """What a unit of work costs, by round: a time as it is, and of a rate its inverse.

    So a ratio reads the same for all workloads: above 1 is slower.
    """
    values = by_round(samples)
    if values and str(samples["metric"].iloc[0]) in _rates(run):
        return {number: 1 / value for number, value in values.items() if value}
    return values


def _rates(run: Run) -> set[str]:
    """The metrics of which more is better."""
    return {
        metric
        for workload in run.settings.get("workloads", {}).values()
        for metric, result in workload["results"].items()
        if result["better"] == "more"
    }


def is_beside(experiment: str, metric: str, figures: Collection[str] = ()) -> bool:
    """Return True if a metric explains another one (its CPU time, its steps), and is no figure.

    `figures` are the results of the run's workloads, which may be called anything.
    """
    if experiment == "performance":
        return metric.startswith(_BESIDE_WORKLOADS) and metric not in figures
    return ": " in metric


def figures_of_workloads(run: Run) -> frozenset[str]:
    """Return the results of the run's workloads, as far as the run describes them."""
    described = run.settings.get("workloads", {}).values()
    return frozenset(metric for workload in described for metric in workload["results"])


def _is_curve(experiment: str, metric: str) -> bool:
    if experiment == "startup":
        return metric.startswith(_BEGIN)
    return experiment in _WITH_SERIES and metric in SERIES


def disturbed_rounds(samples: pd.DataFrame, run: Run) -> frozenset[int]:
    """The rounds of these samples' experiment in which the host was disturbed.

    None for what is counted and not timed, since noise does not change a count.
    """
    if samples.empty or samples["unit"].iloc[0] in COUNTED_UNITS:
        return frozenset()
    rounds = run.rounds[run.rounds["experiment"] == samples["experiment"].iloc[0]]
    return frozenset(int(number) for number in rounds.loc[rounds["disturbed"] != "", "round"])


def document(run: Run) -> dict[str, Any]:
    """The run as one JSON document; what is unknown is null."""
    return {
        **provenance.document(run),
        "measurements": [asdict(measurement) for measurement in measurements(run)],
        "ratios": [asdict(ratio) for ratio in ratios(run)],
    }


def show(run: Run, console: Console | None = None) -> None:
    """Print the run's figures as tables, on standard output unless told otherwise."""
    from rich.console import Console

    console = console or Console()
    console.print(tables.plain(provenance.line(run)), style="dim", highlight=False, markup=False)
    measured = measurements(run)
    for experiment in dict.fromkeys(found.experiment for found in measured):
        rows = [_shown(found, run) for found in measured if found.experiment == experiment]
        console.print(tables.numeric(experiment, _COLUMNS, rows))
    for found in measured:
        for reason in dict.fromkeys(found.censored_reasons):
            sentence = tables.plain(f"failed: {found.experiment}: {reason}")
            console.print(sentence, style="yellow", markup=False)
    compared = ratios(run)
    if compared:
        rows = [_compared(ratio, run) for ratio in compared]
        console.print(tables.numeric("ratios within rounds", _RATIO_COLUMNS, rows))


def markdown(run: Run) -> str:
    """Every measurement and every ratio as Markdown tables."""
    measured = [(found.experiment, *_shown(found, run)) for found in measurements(run)]
    compared = [(ratio.experiment, *_compared(ratio, run)) for ratio in ratios(run)]
    return "\n".join(
        [
            *tables.markdown(("experiment", *_COLUMNS), measured),
            "",
            *tables.markdown(("experiment", *_RATIO_COLUMNS), compared),
        ]
    )


def _shown(found: Measurement, run: Run) -> tuple[str, ...]:
    return (
        label(found.target, run),
        found.metric,
        units.quantity(found.median, found.unit),
        shown_interval(found),
        str(found.n),
        str(found.outliers or ""),
        str(found.set_aside or ""),
        str(found.censored or ""),
    )


def _compared(ratio: Ratio, run: Run) -> tuple[str, ...]:
    return (
        f"{label(ratio.target, run)} / {label(ratio.baseline, run)}",
        ratio.metric,
        units.quantity(ratio.ratio, "ratio"),
        units.interval(ratio.low, ratio.high, "ratio"),
        str(ratio.n),
        f"{units.quantity(ratio.with_all.centre, 'ratio')} ({ratio.with_all.n})"
        if ratio.with_all.n > ratio.n
        else "",
        units.share(ratio.smallest_difference),
    )


def shown_interval(measurement: Measurement) -> str:
    """The interval as text; `exact` for what is counted and came out the same each time."""
    is_counted = measurement.experiment != "performance" and measurement.metric in COUNTED
    if is_counted and len(set(measurement.samples)) == 1:
        return "exact"
    return units.interval(measurement.low, measurement.high, measurement.unit)


def _measurement(
    experiment: str, target: str, metric: str, samples: pd.DataFrame, run: Run
) -> Measurement:
    values = samples.dropna(subset=["value"])
    rounds = by_round(samples)
    quiet = undisturbed(rounds, disturbed_rounds(samples, run))
    chosen = values[values["round"].isin(list(quiet))]
    found = _estimate(chosen, run)
    reasons = _failures(experiment, target, metric, rounds, run)
    return Measurement(
        experiment=experiment,
        target=target,
        metric=metric,
        unit=str(samples["unit"].iloc[0]),
        n=len(chosen),
        median=found.centre,
        low=found.low,
        high=found.high,
        samples=[float(value) for value in values["value"]],
        outliers=count_outliers(list(quiet.values())),
        set_aside=len(rounds) - len(quiet),
        with_all=_estimate(values, run) if len(quiet) < len(rounds) else found,
        censored=len(reasons),
        censored_reasons=reasons,
        dependence=found.dependence,
    )


def _estimate(values: pd.DataFrame, run: Run) -> Estimate:
    """The median over rounds, whose interval comes from how rounds differ."""
    return estimate_nested([list(each) for _, each in values.groupby("round")["value"]], seed(run))


def _failures(
    experiment: str, target: str, metric: str, finished: dict[int, float], run: Run
) -> list[str]:
    """Why rounds of the target have no value of the metric: its own reason, or another's.

    A start that failed is recorded once, and has no value of any metric.
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
    """The run's own seed, for the intervals too: a run gives the same figures every time."""
    value = run.settings.get("seed", 0)
    return value if isinstance(value, int) else 0
