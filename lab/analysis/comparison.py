"""Two runs, or more: the same or different, by how much, and with what confidence.

Each figure of a later run is held against the first run's. Runs are independent, so the logarithms
of two figures differ by the root of the summed squares of what their intervals reach. They are the
same if that interval holds 1, which of runs that do not differ it does in 95 %: stricter than
whether two intervals overlap, which they do in 99 %.

Where a run has one round of something, but many points in it (a host being filled), the points
are held against each other: two slopes may differ by far more than points scatter. What is so
found to differ is said to, with the points; by how much rounds would differ is not known.

Three runs or more are also taken together, each as one value (lab.analysis.across_runs).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from lab import tables, units, version
from lab.analysis import across_runs as across
from lab.analysis import conditions, points, summary
from lab.errors import LabError
from lab.statistics.estimates import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from rich.console import Console

    from lab.results.run_folder import Run

Verdict = Literal["same", "different", "unknown"]
By = Literal["rounds", "points"]
_OF_TWO = (
    "A run's interval is of that run: at another hour more figures differ than their confidence"
    " says, though nothing changed. Three runs or more tell by how much they do."
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure in two runs. `change` is later / first, with its interval; None where unknown.

    `name` says what the figure is: `target / baseline` for a ratio within rounds, else a target.
    `confidence` is that of the verdict `different`: 0.99 means that runs that do not differ would
    look so in one of a hundred cases; None where it is `by` points within one round, and not by
    rounds. `first_n` and `later_n` count rounds or points, `noted` is what each run says of it.
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
    by: By
    first_n: int
    later_n: int
    noted: tuple[str, str] = ("", "")


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
    across: tuple[across.Across, ...] = ()

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
    if unknown := set(despite) - set(conditions.CONDITIONS):
        raise LabError(
            f"Runs never differ in {unknown.pop()!r}, but in {', '.join(conditions.CONDITIONS)}."
        )
    first, *later = runs
    if not later:
        raise LabError("It takes two runs to compare.")
    differing = [
        (name, sentence) for run in later for name, sentence in conditions.differing(first, run)
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
        across=tuple(across.figures([_values(run) for run in runs])),
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
        for each in found:
            for which, noted in zip(("first", "later"), each.noted, strict=True):
                if noted and each.verdict == "different":
                    line = f"{each.experiment}: {each.name} {each.metric}, {which}: {noted}"
                    console.print(line, style="dim", markup=False, highlight=False)
    if comparison.across:
        runs = 1 + len(comparison.later)
        title = f"across {runs} runs, each as one value"
        console.print(tables.numeric(title, across.COLUMNS, across.rows(comparison.across)))
    else:
        console.print(_OF_TWO, style="dim", highlight=False)


def _values(run: Run) -> dict[across.Key, tuple[float, str]]:
    return {
        key: (figure.centre, figure.unit) for key, figure in (_ratios(run) | _medians(run)).items()
    }


def _agreement(comparison: Comparison) -> str:
    """Return how many ratios agree, in a sentence."""
    same, told = comparison.tally()
    return (
        f"{same} of {told} ratios agree ({units.share(comparison.agreement())});"
        f" {len(comparison.ratios) - told} can't be told, having no interval"
    )


def _verdict(each: Difference) -> str:
    if each.verdict == "same" and each.low is not None and each.high is not None:
        points = ", by points" if each.by == "points" else ""
        return f"same, within {units.share(max(1 - each.low, each.high - 1))}{points}"
    if each.by == "points" and each.verdict == "different":
        return f"{each.verdict} by {each.first_n} and {each.later_n} points of one round"
    if each.verdict == "different" and each.confidence is not None:
        return f"different ({100 * each.confidence:.4g} % sure)"
    return each.verdict


@dataclass(frozen=True, slots=True)
class _Figure:
    """One figure of one run, from `n` rounds, or points in one round."""

    centre: float
    low: float | None
    high: float | None
    n: int
    unit: str
    by: By = "rounds"
    noted: str = ""

    @property
    def reach(self) -> float | None:
        """Half the interval, on a logarithmic scale; None if there is none."""
        if self.low is None or self.high is None or self.low <= 0:
            return None
        return math.log(self.high / self.low) / 2


def _ratios(run: Run) -> dict[across.Key, _Figure]:
    return {
        (each.experiment, each.metric, f"{each.target} / {each.baseline}"): _Figure(
            each.ratio, each.low, each.high, each.n, "ratio"
        )
        for each in summary.ratios(run)
    }


def _medians(run: Run) -> dict[across.Key, _Figure]:
    """Medians over rounds; where only one was made and its points have an interval, by those."""
    found = {
        (each.experiment, each.metric, each.target): _Figure(
            each.median, each.low, each.high, each.n, each.unit
        )
        for each in summary.measurements(run)
        if each.median is not None
    }
    for key, made in points.figures(run).items():
        if key in found and made.centre is not None and made.low is not None:
            found[key] = _Figure(
                made.centre,
                made.low,
                made.high,
                made.n,
                found[key].unit,
                "points",
                points.note(run, key),
            )
    return found


def _compared(
    run: Run, first: dict[across.Key, _Figure], later: dict[across.Key, _Figure]
) -> list[Difference]:
    return [
        _difference(run.path.name, key, figure, later[key])
        for key, figure in first.items()
        if key in later
    ]


def _difference(run: str, key: across.Key, first: _Figure, later: _Figure) -> Difference:
    experiment, metric, name = key
    change = low = high = confidence = None
    verdict: Verdict = "unknown"
    by: By = "points" if "points" in (first.by, later.by) else "rounds"
    if first.centre > 0 and later.centre > 0:
        change = later.centre / first.centre
        if first.reach is not None and later.reach is not None:
            reach = math.hypot(first.reach, later.reach)
            low, high = change * math.exp(-reach), change * math.exp(reach)
            verdict = "same" if low <= 1 <= high else "different"
            if by == "rounds":
                confidence = _confidence(change, reach, first.n + later.n - 2)
    elif first.centre == later.centre:
        verdict = "same"
    elif _apart(first, later) or _apart(later, first):  # one is zero, so that there is no ratio
        verdict = "different"
    return Difference(
        run=run,
        experiment=experiment,
        metric=metric,
        name=name,
        unit=first.unit,
        first=first.centre,
        later=later.centre,
        change=change,
        low=low,
        high=high,
        confidence=confidence,
        verdict=verdict,
        by=by,
        first_n=first.n,
        later_n=later.n,
        noted=(first.noted, later.noted),
    )


def _apart(lower: _Figure, upper: _Figure) -> bool:
    """Return True if the whole interval of one lies below that of the other."""
    return lower.high is not None and upper.low is not None and lower.high < upper.low


def _confidence(change: float, reach: float, freedom: int) -> float:
    """In how many cases two runs that do not differ would look less different."""
    from scipy.stats import t

    if not reach:
        return 1.0 if change != 1 else 0.0
    freedom = max(freedom, 1)
    away = abs(math.log(change)) / reach * t.ppf((1 + CONFIDENCE) / 2, freedom)
    return float(1 - 2 * t.sf(away, freedom))
