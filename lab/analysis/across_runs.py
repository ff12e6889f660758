"""Several runs of one host: what their figures have in common, and how far they lie apart.

A run's interval says how well its rounds determine that run's own figure. What another hour would
give differs by more, since noise drifts; only other runs tell by how much. Here each run is one
value, so that the interval holds what runs of this host have for their middle.
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
    """One figure over several runs: the median of theirs, and its interval from how runs differ.

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
    """Each figure, a value and its unit, that at least FEWEST_RUNS of the runs have.

    Keys are experiment, metric and name; the order of the runs is that in which they were made.
    """
    found = []
    for key in dict.fromkeys(key for run in runs for key in run):
        have = [run[key] for run in runs if key in run]
        if len(have) >= FEWEST_RUNS:
            values = [value for value, _ in have]
            mean = statistics.fmean(values)
            spread = statistics.stdev(values) / mean if mean > 0 else None
            found.append(Across(*key, have[-1][1], estimate_median(values), spread))
    return found


def siblings(run: Run) -> list[Run]:
    """Return the runs that lie beside this one and can be compared with it, itself among them.

    Oldest first. Those of another profile, those that were interrupted and what is no run are left
    out.
    """
    found = []
    for path in sorted(run.path.resolve().parent.glob("*/run.json")):
        try:
            other = run_folder.load(path.parent)
        except LabError:
            continue
        of_one_profile = other.settings.get("profile") == run.settings.get("profile")
        whole = "finished" in other.settings and not other.settings.get("interrupted")
        if of_one_profile and whole and not conditions.differing(run, other):
            found.append(other)
    return sorted(found, key=lambda each: str(each.settings.get("started", "")))


def rows(found: Sequence[Across]) -> list[tuple[str, ...]]:
    """Each figure as the cells of a table."""
    return [
        (
            f"{each.experiment}: {each.name}",
            each.metric,
            units.quantity(each.estimate.centre, each.unit),
            units.interval(each.estimate.low, each.estimate.high, each.unit),
            str(each.estimate.n),
            units.share(each.from_run_to_run),
        )
        for each in found
    ]


def markdown(found: Sequence[Across]) -> list[str]:
    """A table of the figures, as lines of Markdown."""
    return tables.markdown(COLUMNS, rows(found))


def section(run: Run) -> str:
    """The figures of a page over all runs of the host that lie beside it, as Markdown.

    Says so where there are fewer than FEWEST_RUNS.
    """
    beside = siblings(run)
    if len(beside) < FEWEST_RUNS:
        return (
            "What another hour would give on this host is not known: fewer than"
            f" {FEWEST_RUNS} runs of profile {run.settings.get('profile', 'unknown')} lie side by"
            " side here."
        )
    found = figures([_headlines(each) for each in beside])
    names = tables.literal(", ".join(each.path.name for each in beside))
    return "\n".join(
        [f"{len(beside)} runs of this host, each as one value: {names}.", "", *markdown(found)]
    )


def _headlines(run: Run) -> dict[Key, tuple[float, str]]:
    """What the table of claims rests on: medians, and ratios of workloads in a container."""
    samples = run.samples
    found = {}
    for experiment, metrics in _HEADLINES.items():
        chosen = samples[(samples["experiment"] == experiment) & samples["metric"].isin(metrics)]
        for (target, metric), of_one in chosen.groupby(["target", "metric"], sort=False):
            name = summary.label(str(target), run)
            quiet = _undisturbed(summary.by_round(of_one), of_one, run)
            if quiet:
                unit = str(of_one["unit"].iloc[0])
                found[experiment, str(metric), name] = (statistics.median(quiet), unit)
    work = samples[samples["experiment"] == "performance"]
    workloads = summary.figures_of_workloads(run)
    for metric, of_metric in work.groupby("metric", sort=False):
        if summary.is_beside("performance", str(metric), workloads):
            continue
        ours, theirs = (
            summary.costs_by_round(of_metric[of_metric["target"] == target], run)
            for target in _COMPARED
        )
        both = sorted(number for number in ours.keys() & theirs.keys() if theirs[number])
        ratios = {number: ours[number] / theirs[number] for number in both}
        if quiet := _undisturbed(ratios, of_metric, run):
            key = ("performance", str(metric), " / ".join(_COMPARED))
            found[key] = (statistics.median(quiet), "ratio")
    return found


def _undisturbed(values: Mapping[int, float], samples: pd.DataFrame, run: Run) -> list[float]:
    return list(undisturbed(values, summary.disturbed_rounds(samples, run)).values())
