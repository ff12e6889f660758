"""Figures across several runs of a host, and how much they differ from run to run.

The interval of a run states how well its rounds determine that run's own figure. Runs at different
times differ by more, since noise drifts, and only more runs show by how much. Here each run counts
as a single value, so that the interval covers the median of runs on this host.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import tables, units
from lab.analysis import conditions, summary
from lab.errors import LabError
from lab.results import run_folder
from lab.statistics.estimates import Estimate, estimate_median, undisturbed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from lab.results.run_folder import Run

FEWEST_RUNS = 3
_HEADLINES = {
    "startup": ("first-instruction", "ready", "userspace"),
    "footprint": ("image-on-disk", "instance-disk", "pss"),
    "density": ("memory-per-instance-available", "running"),
}
_COMPARED = ("container", "native")
COLUMNS = ("", "metric", "across runs", "95 % interval", "runs", "from run to run")


@dataclass(frozen=True, slots=True)
class Across:
    """A figure across runs: the median of the runs' figures, with an interval from their spread.

    `from_run_to_run` is the coefficient of variation of the runs' figures, 0.05 for 5 %.
    """

    experiment: str
    metric: str
    name: str
    unit: str
    estimate: Estimate
    from_run_to_run: float | None


Key = tuple[str, str, str]


def figures(runs: Sequence[Mapping[Key, tuple[float, str]]]) -> list[Across]:
    """Return each figure that at least FEWEST_RUNS of the runs have.

    Every run maps (experiment, metric, name) to a value and its unit. Runs are in the order in
    which they were measured.
    """
    result = []
    for key in dict.fromkeys(key for run in runs for key in run):
        present = [run[key] for run in runs if key in run]
        if len(present) >= FEWEST_RUNS:
            values = [value for value, _ in present]
            mean = statistics.fmean(values)
            spread = statistics.stdev(values) / mean if mean > 0 else None
            result.append(Across(*key, present[-1][1], estimate_median(values), spread))
    return result


def siblings(run: Run) -> list[Run]:
    """Return the comparable runs in the folder that holds this run, including itself, oldest first.

    Runs of another profile, interrupted runs and folders that hold no run are left out.
    """
    result = []
    for path in sorted(run.path.resolve().parent.glob("*/run.json")):
        try:
            other = run_folder.load(path.parent)
        except LabError:
            continue
        same_profile = other.settings.get("profile") == run.settings.get("profile")
        complete = "finished" in other.settings and not other.settings.get("interrupted")
        if same_profile and complete and not conditions.differing(run, other):
            result.append(other)
    return sorted(result, key=lambda each: str(each.settings.get("started", "")))


def rows(figures: Sequence[Across]) -> list[tuple[str, ...]]:
    """Return a table row per figure."""
    return [
        (
            f"{each.experiment}: {each.name}",
            each.metric,
            units.quantity(each.estimate.centre, each.unit),
            units.interval(each.estimate.low, each.estimate.high, each.unit),
            str(each.estimate.n),
            units.share(each.from_run_to_run),
        )
        for each in figures
    ]


def markdown(figures: Sequence[Across]) -> list[str]:
    """Return the figures as the lines of a Markdown table."""
    return tables.markdown(COLUMNS, rows(figures))


def section(run: Run) -> str:
    """Return the report's section on the spread from run to run, as Markdown.

    With fewer than FEWEST_RUNS runs in the folder, the section says so instead.
    """
    beside = siblings(run)
    if len(beside) < FEWEST_RUNS:
        return (
            "How much figures differ from run to run on this host is unknown: fewer than"
            f" {FEWEST_RUNS} runs of profile {run.settings.get('profile', 'unknown')} are in the"
            " same folder as this run."
        )
    shared = figures([_headlines(each) for each in beside])
    names = tables.literal(", ".join(each.path.name for each in beside))
    return "\n".join(
        [f"{len(beside)} runs of this host, each as one value: {names}.", "", *markdown(shared)]
    )


def _headlines(run: Run) -> dict[Key, tuple[float, str]]:
    """Return the figures behind the claims: medians, and workload ratios of container to native."""
    samples = run.samples
    result = {}
    for experiment, metrics in _HEADLINES.items():
        chosen = samples[(samples["experiment"] == experiment) & samples["metric"].isin(metrics)]
        for (target, metric), target_samples in chosen.groupby(["target", "metric"], sort=False):
            name = summary.label(str(target), run)
            quiet = _undisturbed(summary.by_round(target_samples), target_samples, run)
            if quiet:
                unit = str(target_samples["unit"].iloc[0])
                result[experiment, str(metric), name] = (statistics.median(quiet), unit)
    work = samples[samples["experiment"] == "performance"]
    for metric, of_metric in work.groupby("metric", sort=False):
        if summary.metric(run, "performance", str(metric)).explains:
            continue
        ours, theirs = (
            summary.costs_by_round(of_metric[of_metric["target"] == target], run)
            for target in _COMPARED
        )
        both = sorted(number for number in ours.keys() & theirs.keys() if theirs[number])
        ratios = {number: ours[number] / theirs[number] for number in both}
        if quiet := _undisturbed(ratios, of_metric, run):
            key = ("performance", str(metric), " / ".join(_COMPARED))
            result[key] = (statistics.median(quiet), "ratio")
    return result


def _undisturbed(values: Mapping[int, float], samples: pd.DataFrame, run: Run) -> list[float]:
    return list(undisturbed(values, summary.disturbed_rounds(samples, run)).values())
