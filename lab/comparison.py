"""Two runs, or more: the same or different, by how much, and with what confidence.

Each figure of a later run is held against the first run's. Runs are independent, so the logarithms
of two figures differ by the root of the summed squares of what their intervals reach. They are the
same if that interval holds 1, which of runs that do not differ it does in 95 %: stricter than
whether two intervals overlap, which they do in 99 %.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from lab import summary, tables, units, version
from lab.errors import LabError
from lab.statistics import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import Console

    from lab.results import Run

Verdict = Literal["same", "different", "unknown"]
# What has to be the same in two runs, where it is recorded: what it is called, and where it lies.
_CONDITIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "host": (("host", "hostname"), ("host", "cpu_model"), ("host", "cpus"), ("host", "kernel")),
    "accelerator": (("settings", "accelerator"),),
    "workloads": (("settings", "workloads"), ("settings", "userland")),
    "page-cache": (("settings", "page_cache"),),
}
CONDITIONS = tuple(_CONDITIONS)


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure in two runs. `change` is later / first, with its interval; None where unknown.

    `name` says what the figure is: `target / baseline` for a ratio within rounds, else a target.
    `confidence` is that of the verdict `different`: 0.99 means that runs that do not differ would
    look so in one of a hundred cases. `smallest_difference` is what this comparison finds in 95 %
    of cases.
    """

    run: str
    experiment: str
    metric: str
    name: str
    unit: str
    first: float
    later: float
    change: float | None
    low: float | None
    high: float | None
    confidence: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two or more runs have in common; `overlooked` says which conditions differ.

    `versions` has each run and the version of the lab that made it.
    """

    first: str
    later: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    overlooked: tuple[str, ...]
    ratios: tuple[Difference, ...]
    medians: tuple[Difference, ...]

    def agreement(self) -> float | None:
        """The share of ratios that are the same, of those that can be told; None if none can."""
        same, told = self.tally()
        return same / told if told else None

    def tally(self) -> tuple[int, int]:
        """Return how many ratios are the same, and how many can be told."""
        told = [each for each in self.ratios if each.verdict != "unknown"]
        return sum(each.verdict == "same" for each in told), len(told)


def compare(runs: Sequence[Run], despite: Collection[str] = ()) -> Comparison:
    """Hold every later run against the first.

    Raises LabError if runs are not comparable, for a reason that is not among `despite`, and if
    they have no figure in common.
    """
    if unknown := set(despite) - set(CONDITIONS):
        raise LabError(f"Runs never differ in {unknown.pop()!r}, but in {', '.join(CONDITIONS)}.")
    first, *later = runs
    if not later:
        raise LabError("It takes two runs to compare.")
    differing = [
        (name, sentence) for run in later for name, sentence in _differing_conditions(first, run)
    ]
    for name, sentence in differing:
        if name not in despite:
            raise LabError(
                f"{sentence}, so that their figures can't be compared;"
                f" --despite {name} compares them all the same."
            )
    ratios = [each for run in later for each in _compared(run, _ratios(first), _ratios(run))]
    medians = [each for run in later for each in _compared(run, _medians(first), _medians(run))]
    if not ratios and not medians:
        raise LabError(f"{first.path} has no figure in common with the others.")
    return Comparison(
        first=str(first.path),
        later=tuple(str(run.path) for run in later),
        versions=tuple(
            (
                run.path.name,
                "; ".join(
                    (version.shown(run.settings.get("tonnage")) or "version unknown", *run.torn)
                ),
            )
            for run in runs
        ),
        overlooked=tuple(sentence for _, sentence in differing),
        ratios=tuple(ratios),
        medians=tuple(medians),
    )


def document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as one JSON document."""
    return {**asdict(comparison), "agreement": comparison.agreement()}


def show(
    comparison: Comparison, console: Console | None = None, *, only_different: bool = False
) -> None:
    """Print how much is the same, and each figure, on standard output unless told otherwise.

    With `only_different`, figures that are the same or can't be told are left out.
    """
    from rich.console import Console
    from rich.table import Table

    console = console or Console()
    for sentence in comparison.overlooked:
        console.print(f"though {sentence}", style="yellow", markup=False)
    for name, made_by in comparison.versions:
        console.print(f"{name}: {made_by}", style="dim", markup=False, highlight=False)
    console.print(_agreement(comparison), markup=False)
    for title, figures in (
        ("ratios within rounds", comparison.ratios),
        ("medians", comparison.medians),
    ):
        found = [each for each in figures if not only_different or each.verdict == "different"]
        if not found:
            continue
        table = Table(title=title, title_justify="left", title_style="bold", box=None)
        for heading in ("", "metric", "first", "later", "change", "95 % interval", "verdict"):
            table.add_column(heading, overflow="fold")
        for each in found:
            shown = (
                f"{each.experiment}: {each.name}",
                each.metric,
                units.quantity(each.first, each.unit),
                units.quantity(each.later, each.unit),
                units.quantity(each.change, "ratio"),
                units.interval(each.low, each.high, "ratio"),
                _verdict(each),
            )
            table.add_row(*map(tables.cell, shown))
        console.print(table)


def _agreement(comparison: Comparison) -> str:
    """Return how many ratios agree, in a sentence."""
    same, told = comparison.tally()
    return (
        f"{same} of {told} ratios agree ({units.share(comparison.agreement())});"
        f" {len(comparison.ratios) - told} can't be told, having no interval"
    )


def _verdict(each: Difference) -> str:
    if each.verdict == "different" and each.confidence is not None:
        return f"different ({100 * each.confidence:.4g} % sure)"
    return each.verdict


def _differing_conditions(first: Run, run: Run) -> list[tuple[str, str]]:
    """What keeps two runs from being compared: which condition, and a sentence without its end."""
    found = []
    for name, places in _CONDITIONS.items():
        for part, key in places:
            ours, theirs = getattr(first, part).get(key), getattr(run, part).get(key)
            if isinstance(ours, dict) and isinstance(theirs, dict):
                common = ours.keys() & theirs.keys()
                ours, theirs = ({name: each[name] for name in common} for each in (ours, theirs))
            if ours != theirs and ours is not None and theirs is not None:
                both = f"{first.path.name} and {run.path.name}"
                what = f"{key.replace('_', ' ')} ({_short(ours)}; {_short(theirs)})"
                found.append((name, f"{both} differ in {what}"))
                break
    return found


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"


_Figure = tuple[float, float | None, float | None, int, str]


def _ratios(run: Run) -> dict[tuple[str, str, str], _Figure]:
    return {
        (each.experiment, each.metric, f"{each.target} / {each.baseline}"): (
            each.ratio,
            each.low,
            each.high,
            each.n,
            "ratio",
        )
        for each in summary.ratios(run)
    }


def _medians(run: Run) -> dict[tuple[str, str, str], _Figure]:
    return {
        (each.experiment, each.metric, each.target): (
            each.median,
            each.low,
            each.high,
            each.n,
            each.unit,
        )
        for each in summary.measurements(run)
        if each.median is not None
    }


def _compared(
    run: Run,
    first: dict[tuple[str, str, str], _Figure],
    later: dict[tuple[str, str, str], _Figure],
) -> list[Difference]:
    return [
        _difference(run.path.name, key, figure, later[key])
        for key, figure in first.items()
        if key in later
    ]


def _difference(run: str, key: tuple[str, str, str], first: _Figure, later: _Figure) -> Difference:
    from scipy.stats import t

    experiment, metric, name = key
    change = low = high = confidence = None
    verdict: Verdict = "unknown"
    if first[0] > 0 and later[0] > 0:
        change = later[0] / first[0]
        reaches = [_reach(figure) for figure in (first, later)]
        if None not in reaches:
            reach = math.hypot(*(each for each in reaches if each is not None))
            low, high = change * math.exp(-reach), change * math.exp(reach)
            verdict = "same" if low <= 1 <= high else "different"
            if reach:
                freedom = max(first[3] + later[3] - 2, 1)
                away = abs(math.log(change)) / reach * t.ppf((1 + CONFIDENCE) / 2, freedom)
                confidence = float(1 - 2 * t.sf(away, freedom))
            else:
                confidence = 1.0 if change != 1 else 0.0
    elif first[0] == later[0]:
        verdict = "same"
    return Difference(
        run=run,
        experiment=experiment,
        metric=metric,
        name=name,
        unit=first[4],
        first=first[0],
        later=later[0],
        change=change,
        low=low,
        high=high,
        confidence=confidence,
        verdict=verdict,
    )


def _reach(figure: _Figure) -> float | None:
    """Half the interval of a figure, on a logarithmic scale; None if it has none."""
    _, low, high, _, _ = figure
    if low is None or high is None or low <= 0:
        return None
    return math.log(high / low) / 2
