"""A run's figures as JSON, as tables on a terminal and as Markdown."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lab import tables, units
from lab.analysis import labels, provenance
from lab.analysis.stored_texts import stored
from lab.analysis.summary import (
    Measurement,
    Ratio,
    in_order,
    is_exact,
    label,
    measurements,
    ratios,
)
from lab.language.message import Language, Message, translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from lab.results.run_folder import Run

INTERVAL = Message("95 % interval")
_COLUMNS = (
    Message("target"),
    Message("metric"),
    Message("median"),
    INTERVAL,
    "n",
    Message("outliers"),
    Message("excluded"),
    Message("failed"),
)
_RATIO_COLUMNS = (
    Message("compared"),
    Message("metric"),
    Message("ratio"),
    INTERVAL,
    Message("rounds"),
    Message("all rounds"),
    Message("detects"),
)


def document(run: Run) -> dict[str, Any]:
    """Return the run as a JSON document; unknown values are null."""
    return {
        **provenance.document(run),
        "measurements": [asdict(measurement) for measurement in measurements(run)],
        "ratios": [asdict(ratio) for ratio in ratios(run)],
    }


def show(run: Run, console: Console | None = None, language: Language = Language.ENGLISH) -> None:
    """Print the run's figures as tables, by default on standard output."""
    from rich.console import Console

    console = console or Console()
    console.print(tables.paragraph(translated(provenance.line(run), language), "dim"))
    figures = in_order(measurements(run))
    for experiment in dict.fromkeys(figure.experiment for figure in figures):
        rows = [_measurement_row(each, run) for each in figures if each.experiment == experiment]
        title = labels.experiment(experiment)
        console.print(tables.numeric(title, _COLUMNS, rows, language))
    for sentence in _failures(figures):
        console.print(tables.paragraph(translated(sentence, language), "yellow"))
    if rows := [_ratio_row(ratio, run) for ratio in in_order(ratios(run))]:
        title = Message("ratios within rounds")
        console.print(tables.numeric(title, _RATIO_COLUMNS, rows, language))


def markdown(run: Run, language: Language = Language.ENGLISH) -> str:
    """Return the run's conditions, every measurement, every failure and every ratio as Markdown."""
    measured = in_order(measurements(run))
    figures = [
        (labels.experiment(each.experiment), *_measurement_row(each, run)) for each in measured
    ]
    failed = [f"- {tables.literal(translated(each, language))}" for each in _failures(measured)]
    comparisons = [
        (labels.experiment(ratio.experiment), *_ratio_row(ratio, run))
        for ratio in in_order(ratios(run))
    ]
    heading = Message("experiment")
    return "\n".join(
        [
            tables.literal(translated(provenance.line(run), language)),
            "",
            *tables.markdown((heading, *_COLUMNS), figures, language),
            "",
            *([*failed, ""] if failed else []),
            *tables.markdown((heading, *_RATIO_COLUMNS), comparisons, language),
        ]
    )


def csv_lines(run: Run) -> str:
    """Return every measurement as CSV, in base units; an empty cell is an unknown value."""
    return csv_of(measurements(run), run)


def csv_of(measured: Iterable[Measurement], run: Run) -> str:
    """Return measurements of a run as CSV, as `csv_lines` does."""
    headings = ("experiment", "target", "metric", "unit", "median", "low", "high", "n",
                "outliers", "excluded", "failed", "accelerator")  # fmt: skip
    rows = [
        (
            each.experiment, each.target, each.metric, each.unit, each.median, each.low,
            each.high, each.n, each.outliers, each.set_aside, each.censored,
            labels.accelerator(each.target, run),
        )
        for each in measured
    ]  # fmt: skip
    return tables.csv_lines(headings, rows)


def _failures(figures: Sequence[Measurement]) -> list[Message]:
    """Return a sentence for each reason why rounds of an experiment lack a value."""
    reasons = [(each.experiment, reason) for each in figures for reason in each.censored_reasons]
    return [
        Message(
            "failed: {experiment}: {reason}",
            experiment=labels.experiment(experiment),
            reason=stored(reason),
        )
        for experiment, reason in dict.fromkeys(reasons)
    ]


def interval(measurement: Measurement) -> str:
    """Return the interval as text; `exact` for a count that was the same in every round."""
    if is_exact(measurement):
        return Message("exact")
    return units.interval(measurement.low, measurement.high, measurement.unit)


def _measurement_row(measurement: Measurement, run: Run) -> tuple[str, ...]:
    return (
        label(measurement.target, run),
        labels.metric(measurement.metric),
        units.quantity(measurement.median, measurement.unit, measurement.high or 0.0),
        interval(measurement),
        str(measurement.n),
        str(measurement.outliers or ""),
        str(measurement.set_aside or ""),
        str(measurement.censored or ""),
    )


def _ratio_row(ratio: Ratio, run: Run) -> tuple[str, ...]:
    return (
        labels.pair(label(ratio.target, run), label(ratio.baseline, run)),
        labels.metric(ratio.metric),
        units.quantity(ratio.ratio, "ratio"),
        units.interval(ratio.low, ratio.high, "ratio"),
        str(ratio.n),
        f"{units.quantity(ratio.with_all.centre, 'ratio')} ({ratio.with_all.n})"
        if ratio.with_all.n > ratio.n
        else "",
        units.share(ratio.smallest_difference),
    )
