"""A comparison of runs as JSON and as tables on a terminal."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lab import tables, units
from lab.analysis import across_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from lab.analysis.comparison import Comparison, Difference

_HEADINGS = ("figure", "metric", "first", "later", "change", "95 % interval", "verdict")
_TWO_RUNS = (
    "The interval of a run covers that run alone: at another time, more figures differ than the"
    " confidence suggests, even if nothing was changed. Three or more runs show by how much."
)


def document(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as a JSON document."""
    return {**asdict(comparison), "agreement": comparison.agreement()}


def show(
    comparison: Comparison, console: Console | None = None, *, only_different: bool = False
) -> None:
    """Print the agreement and each figure, by default on standard output.

    `only_different` leaves out figures that are the same or can't be compared.
    """
    from rich.console import Console

    console = console or Console()
    for sentence in comparison.overlooked:
        console.print(f"warning: {sentence}", style="yellow", markup=False)
    for name, version in comparison.versions:
        console.print(f"{name}: {version}", style="dim", markup=False, highlight=False)
    console.print(_agreement(comparison), markup=False)
    for title, differences in (
        ("ratios within rounds", comparison.ratios),
        ("medians", comparison.medians),
    ):
        _show_differences(
            title,
            [each for each in differences if not only_different or each.verdict == "different"],
            console,
        )
    if comparison.across:
        runs = 1 + len(comparison.later)
        title = f"across {runs} runs, each as one value"
        rows = across_runs.rows(comparison.across)
        console.print(tables.numeric(title, across_runs.COLUMNS, rows))
    else:
        console.print(_TWO_RUNS, style="dim", highlight=False)


def _show_differences(title: str, differences: Sequence[Difference], console: Console) -> None:
    """Print a table, and below it the notes of figures that differ; nothing without any row."""
    if not differences:
        return
    console.print(tables.folding(_HEADINGS, map(_row, differences), title))
    for each in differences:
        for run, note in zip(("first", "later"), each.noted, strict=True):
            if note and each.verdict == "different":
                line = f"{each.experiment}: {each.name} {each.metric}, {run}: {note}"
                console.print(line, style="dim", markup=False, highlight=False)


def _row(each: Difference) -> tuple[str, ...]:
    return (
        f"{each.experiment}: {each.name}",
        each.metric,
        units.quantity(each.first, each.unit),
        units.quantity(each.later, each.unit),
        units.quantity(each.change, "ratio"),
        units.interval(each.low, each.high, "ratio"),
        _verdict(each),
    )


def _agreement(comparison: Comparison) -> str:
    same, comparable = comparison.tally()
    return (
        f"{same} of {comparable} ratios agree ({units.share(comparison.agreement())});"
        f" {len(comparison.ratios) - comparable} more have no interval and can't be compared"
    )


def _verdict(each: Difference) -> str:
    if each.verdict == "same" and each.low is not None and each.high is not None:
        points = ", by points" if each.by == "points" else ""
        return f"same, within {units.share(max(1 - each.low, each.high - 1))}{points}"
    if each.by == "points" and each.verdict == "different":
        return f"different, by {each.first_n} and {each.later_n} points of a single round"
    if each.verdict == "different" and each.confidence is not None:
        return f"different ({100 * each.confidence:.4g} % confidence)"
    return each.verdict
