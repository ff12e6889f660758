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
from lab.analysis import conditions, labels, pairs, series, summary
from lab.errors import LabError
from lab.language.message import Language, Message, joined, translated
from lab.language.punctuation import COLON
from lab.results import run_folder
from lab.statistics.estimates import Estimate, estimate_median, undisturbed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.results.run_folder import Run

FEWEST_RUNS = 3
_HEADLINES = {
    "startup": ("first-instruction", "ready", "userspace"),
    "footprint": ("image-on-disk", "instance-disk", "pss"),
    "density": ("memory-per-instance-available", "running"),
}
_COMPARED = ("container", "native")
COLUMNS = (
    "",
    Message("metric"),
    Message("across runs"),
    Message("95 % interval"),
    Message("runs"),
    Message("from run to run"),
)


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
            if _is_comparable(run_folder.without_samples(path.parent), run):
                result.append(run_folder.load(path.parent))
        except LabError:
            continue
    return sorted(result, key=lambda each: str(each.settings.get("started", "")))


def _is_comparable(other: Run, run: Run) -> bool:
    same_profile = other.settings.get("profile") == run.settings.get("profile")
    complete = "finished" in other.settings and not other.settings.get("interrupted")
    return same_profile and complete and not conditions.differing(run, other)


def rows(figures: Sequence[Across]) -> list[tuple[str, ...]]:
    """Return a table row per figure."""
    return [
        (
            joined(COLON, (labels.experiment(each.experiment), each.name)),
            labels.metric(each.metric),
            units.quantity(each.estimate.centre, each.unit, each.estimate.high or 0.0),
            units.interval(each.estimate.low, each.estimate.high, each.unit),
            str(each.estimate.n),
            units.share(each.from_run_to_run),
        )
        for each in figures
    ]


def markdown(figures: Sequence[Across], language: Language = Language.ENGLISH) -> list[str]:
    """Return the figures as the lines of a Markdown table."""
    return tables.markdown(COLUMNS, rows(figures), language)


def section(run: Run, language: Language = Language.ENGLISH) -> str:
    """Return the report's section on the spread from run to run, as Markdown.

    With fewer than FEWEST_RUNS runs in the folder, the section says so instead.
    """
    beside = siblings(run)
    if len(beside) < FEWEST_RUNS:
        unknown = Message(
            "How much figures differ from run to run on this host is unknown: fewer than {count}"
            " runs of profile {profile} are in the same folder as this run.",
            count=FEWEST_RUNS,
            profile=run.settings.get("profile", Message("unknown")),
        )
        return translated(unknown, language)
    names = tables.literal(", ".join(each.path.name for each in beside))
    sentence = Message(
        "{count} runs of this host, each as one value: {names}.", count=len(beside), names=names
    )
    return "\n".join([translated(sentence, language), "", *markdown(shared(beside), language)])


def shared(runs: Sequence[Run]) -> list[Across]:
    """Return the figures behind the claims that at least FEWEST_RUNS of the runs have."""
    return figures([_headlines(each) for each in runs])


def _headlines(run: Run) -> dict[Key, tuple[float, str]]:
    """Return the figures behind the claims: medians, and workload ratios of container to native."""
    result = {}
    for experiment, names in _HEADLINES.items():
        for (name, target, metric), each in series.series(run).items():
            if name != experiment or metric not in names:
                continue
            if quiet := undisturbed(each.by_round(), summary.disturbed_rounds(each, run)):
                key = (experiment, metric, summary.label(target, run))
                result[key] = (statistics.median(quiet.values()), each.unit)
    target, baseline = _COMPARED
    pair = labels.pair(*map(labels.target_name, _COMPARED))
    for metric, by_target in series.of_experiment(run, "performance").items():
        if by_target.keys() >= {target, baseline} and not _explains(run, metric):
            ratios = pairs.of(run, "performance", metric, target, baseline).ratios
            if ratios:
                result["performance", metric, pair] = (statistics.median(ratios.values()), "ratio")
    return result


def _explains(run: Run, metric: str) -> bool:
    return summary.metric(run, "performance", metric).explains
