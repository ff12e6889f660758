"""A run's figures as JSON, as tables on a terminal and as Markdown."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lab import tables, units
from lab.analysis import provenance
from lab.analysis.summary import Measurement, Ratio, is_exact, label, measurements, ratios

if TYPE_CHECKING:
    from rich.console import Console

    from lab.results.run_folder import Run

_COLUMNS = ("target", "metric", "median", "95 % interval", "n", "outliers", "excluded", "failed")
_RATIO_COLUMNS = (
    "compared",
    "metric",
    "ratio",
    "95 % interval",
    "rounds",
    "all rounds",
    "detects",
)


def document(run: Run) -> dict[str, Any]:
    """Return the run as a JSON document; unknown values are null."""
    return {
        **provenance.document(run),
        "measurements": [asdict(measurement) for measurement in measurements(run)],
        "ratios": [asdict(ratio) for ratio in ratios(run)],
    }


def show(run: Run, console: Console | None = None) -> None:
    """Print the run's figures as tables, by default on standard output."""
    from rich.console import Console

    console = console or Console()
    console.print(tables.plain(provenance.line(run)), style="dim", highlight=False, markup=False)
    figures = measurements(run)
    for experiment in dict.fromkeys(figure.experiment for figure in figures):
        rows = [_measurement_row(each, run) for each in figures if each.experiment == experiment]
        console.print(tables.numeric(experiment, _COLUMNS, rows))
    for figure in figures:
        for reason in dict.fromkeys(figure.censored_reasons):
            sentence = tables.plain(f"failed: {figure.experiment}: {reason}")
            console.print(sentence, style="yellow", markup=False)
    if rows := [_ratio_row(ratio, run) for ratio in ratios(run)]:
        console.print(tables.numeric("ratios within rounds", _RATIO_COLUMNS, rows))


def markdown(run: Run) -> str:
    """Return every measurement and every ratio as Markdown tables."""
    figures = [(each.experiment, *_measurement_row(each, run)) for each in measurements(run)]
    comparisons = [(ratio.experiment, *_ratio_row(ratio, run)) for ratio in ratios(run)]
    return "\n".join(
        [
            *tables.markdown(("experiment", *_COLUMNS), figures),
            "",
            *tables.markdown(("experiment", *_RATIO_COLUMNS), comparisons),
        ]
    )


def csv_lines(run: Run) -> str:
    """Return every measurement as CSV, in base units; an empty cell is an unknown value."""
    headings = ("experiment", "target", "metric", "unit", "median", "low", "high", "n",
                "outliers", "excluded", "failed")  # fmt: skip
    rows = [
        (
            each.experiment, each.target, each.metric, each.unit, each.median, each.low,
            each.high, each.n, each.outliers, each.set_aside, each.censored,
        )
        for each in measurements(run)
    ]  # fmt: skip
    return tables.csv_lines(headings, rows)


def interval(measurement: Measurement) -> str:
    """Return the interval as text; `exact` for a count that was the same in every round."""
    if is_exact(measurement):
        return "exact"
    return units.interval(measurement.low, measurement.high, measurement.unit)


def _measurement_row(measurement: Measurement, run: Run) -> tuple[str, ...]:
    return (
        label(measurement.target, run),
        measurement.metric,
        units.quantity(measurement.median, measurement.unit),
        interval(measurement),
        str(measurement.n),
        str(measurement.outliers or ""),
        str(measurement.set_aside or ""),
        str(measurement.censored or ""),
    )


def _ratio_row(ratio: Ratio, run: Run) -> tuple[str, ...]:
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
