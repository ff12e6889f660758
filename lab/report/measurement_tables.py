"""A run's figures as tables of the page: medians, ratios, and points over a number at once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from lab import tables, units
from lab.analysis import labels, summary, summary_text
from lab.language.message import Message, joined
from lab.report import filling
from lab.report.data_table import Cell, Column, Table
from lab.report.ranking import Rank, ranks

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lab.analysis.summary import Measurement, Ratio
    from lab.results.run_folder import Run

T = TypeVar("T")
_TARGET = Column(Message("target"))
_METRIC = Column(Message("metric"))
_EXPERIMENT = Column(Message("experiment"))
_MEDIAN = Column(Message("median"), is_numeric=True)
_INTERVAL = Column(Message("95 % interval"), is_numeric=True)
_N = Column("n", is_numeric=True)
_RANK = Column(Message("rank"), is_numeric=True)
_RATIO = Column(Message("ratio"), is_numeric=True)
_ROUNDS = Column(Message("rounds"), is_numeric=True)
_NO_CELL = Cell(units.UNKNOWN, is_unknown=True)


def medians(run: Run, experiment: str, metrics: Sequence[str]) -> Table | None:
    """Return the medians of some metrics of an experiment by metric and rank; None without any."""
    chosen = summary.in_order(
        _fitted(run, each)
        for each in summary.measurements(run)
        if each.experiment == experiment and each.metric in metrics and each.median is not None
    )
    if not chosen:
        return None
    rows = []
    for metric in (name for name in metrics if any(each.metric == name for each in chosen)):
        measured = [each for each in chosen if each.metric == metric]
        better = summary.metric(run, experiment, metric).better
        placed = ranks([_ends(each) for each in measured], better)
        rows += [
            (
                Cell(labels.metric(metric)),
                Cell(summary.label(each.target, run)),
                _quantity(each.median, each.unit, each.high),
                _interval(summary_text.interval(each), each.low),
                Cell(str(each.n), each.n),
                _rank(rank),
            )
            for each, rank in _by_rank(measured, placed)
        ]
    return Table(
        f"{experiment}-{metrics[0]}",
        Message("Medians, in the order of their ranks"),
        (_METRIC, _TARGET, _MEDIAN, _INTERVAL, _N, _RANK),
        tuple(rows),
        summary_text.csv_of(chosen, run),
    )


def every_measurement(run: Run) -> Table:
    """Return every measurement of the run, with what is said about its rounds."""
    measured = summary.in_order(summary.measurements(run))
    return Table(
        "measurements",
        Message("Every measurement"),
        (
            _EXPERIMENT, _TARGET, _METRIC, _MEDIAN, _INTERVAL, _N,
            Column(Message("outliers"), is_numeric=True),
            Column(Message("excluded"), is_numeric=True),
            Column(Message("failed"), is_numeric=True),
        ),
        tuple(
            (
                Cell(labels.experiment(each.experiment)),
                Cell(summary.label(each.target, run)),
                Cell(labels.metric(each.metric)),
                _quantity(each.median, each.unit, each.high),
                _interval(summary_text.interval(each), each.low),
                Cell(str(each.n), each.n),
                *(Cell(str(count or ""), count)
                  for count in (each.outliers, each.set_aside, each.censored)),
            )
            for each in measured
        ),
        summary_text.csv_of(measured, run),
    )  # fmt: skip


def ratios_to(run: Run, experiment: str, baseline: str) -> Table | None:
    """Return an experiment's ratios to a baseline by metric and rank; None without any."""
    chosen = summary.in_order(
        each
        for each in summary.ratios(run)
        if each.experiment == experiment
        and each.baseline == baseline
        and not summary.metric(run, experiment, each.metric).explains
    )
    if not chosen:
        return None
    rows = []
    for metric in dict.fromkeys(each.metric for each in chosen):
        of_metric = [each for each in chosen if each.metric == metric]
        placed = ranks([(each.low, each.high) for each in of_metric], "less")
        rows += [
            (
                Cell(labels.metric(metric)),
                Cell(summary.label(each.target, run)),
                *_ratio_cells(each),
                _rank(rank),
            )
            for each, rank in _by_rank(of_metric, placed)
        ]
    return Table(
        f"{experiment}-ratios",
        Message("Time relative to native, in the order of ranks"),
        (_METRIC, _TARGET, _RATIO, _INTERVAL, _ROUNDS, _RANK),
        tuple(rows),
        _ratios_csv(chosen, run),
    )


def every_ratio(run: Run) -> Table:
    """Return every ratio within rounds of the run."""
    compared = summary.in_order(summary.ratios(run))
    return Table(
        "ratios",
        Message("Every ratio within rounds"),
        (
            _EXPERIMENT, Column(Message("compared")), _METRIC, _RATIO, _INTERVAL, _ROUNDS,
            Column(Message("all rounds"), is_numeric=True),
            Column(Message("detects"), is_numeric=True),
        ),
        tuple(
            (
                Cell(labels.experiment(each.experiment)),
                Cell(joined(" / ", (summary.label(each.target, run),
                                    summary.label(each.baseline, run)))),
                Cell(labels.metric(each.metric)),
                *_ratio_cells(each),
                Cell(f"{units.quantity(each.with_all.centre, 'ratio')} ({each.with_all.n})",
                     each.with_all.centre) if each.with_all.n > each.n else Cell("", None, True),
                Cell(units.share(each.smallest_difference), each.smallest_difference)
                if each.smallest_difference is not None else _NO_CELL,
            )
            for each in compared
        ),
        _ratios_csv(compared, run),
    )  # fmt: skip


def curve(run: Run, experiment: str, metrics: Collection[str], counted: str) -> Table | None:
    """Return the medians over rounds of points, by target and number of instances."""
    samples = run.samples
    chosen = samples[
        (samples["experiment"] == experiment)
        & samples["metric"].isin(list(metrics))
        & samples["value"].notna()
    ]
    if chosen.empty:
        return None
    rows, values = [], []
    grouped = chosen.groupby(["target", "position", "metric"], sort=False)
    order = labels.in_order(map(str, chosen["target"].unique()))
    for (target, count, metric), points in sorted(
        grouped, key=lambda group: order.index(str(group[0][0]))
    ):
        value, unit = float(points["value"].median()), str(points["unit"].iloc[0])
        n = len(points)
        rows.append((
            Cell(summary.label(str(target), run)),
            Cell(f"{count:,}", float(str(count))),
            Cell(labels.metric(str(metric))),
            _quantity(value, unit),
            Cell(str(n), n),
        ))  # fmt: skip
        values.append((target, count, metric, unit, value, n, labels.accelerator(str(target), run)))
    return Table(
        f"{experiment}-curve",
        Message("Medians over rounds at each number of instances"),
        (_TARGET, Column(counted, is_numeric=True), _METRIC, _MEDIAN, _N),
        tuple(rows),
        tables.csv_lines(
            ("target", "count", "metric", "unit", "median", "n", "accelerator"), values
        ),
    )


def _fitted(run: Run, measured: Measurement) -> Measurement:
    """Return the measurement; the memory of one more instance with the interval of its fit.

    A single filling of the host has no interval between rounds. That of the slope comes from its
    points, which `n` then counts.
    """
    if measured.metric != "memory-per-instance-available" or measured.low is not None:
        return measured
    slope, points = filling.memory_points(run).get(measured.target, (None, ()))
    if slope is None:
        return measured
    n = len(points) + 1  # and the empty host
    return replace(measured, median=slope.centre, low=slope.low, high=slope.high, n=n)


def _by_rank(figures: Sequence[T], placed: Sequence[Rank | None]) -> list[tuple[T, Rank | None]]:
    """Return the figures by rank; those that their intervals don't tell apart stay in order."""

    def order(pair: tuple[T, Rank | None]) -> tuple[float, float]:
        rank = pair[1]
        return (rank.best, rank.worst) if rank else (math.inf, math.inf)

    return sorted(zip(figures, placed, strict=True), key=order)


def _ends(measured: Measurement) -> tuple[float | None, float | None]:
    if summary.is_exact(measured):
        return measured.median, measured.median
    return measured.low, measured.high


def _ratio_cells(ratio: Ratio) -> tuple[Cell, ...]:
    return (
        _quantity(ratio.ratio, "ratio"),
        _interval(units.interval(ratio.low, ratio.high, "ratio"), ratio.low),
        Cell(str(ratio.n), ratio.n),
    )


def _quantity(value: float | None, unit: str, high: float | None = None) -> Cell:
    """Return a cell with a value in the unit of its interval, which ends at `high`."""
    return _NO_CELL if value is None else Cell(units.quantity(value, unit, high or 0.0), value)


def _interval(shown: str, low: float | None) -> Cell:
    return Cell(shown, low, shown == units.UNKNOWN)


def _rank(rank: Rank | None) -> Cell:
    return Cell(str(rank), rank.best + rank.worst / 1000) if rank else _NO_CELL


def _ratios_csv(compared: Sequence[Ratio], run: Run) -> str:
    return tables.csv_lines(
        ("experiment", "metric", "target", "baseline", "ratio", "low", "high", "rounds",
         "ratio_of_all_rounds", "all_rounds", "smallest_difference", "accelerator"),
        [(each.experiment, each.metric, each.target, each.baseline, each.ratio, each.low,
          each.high, each.n, each.with_all.centre, each.with_all.n, each.smallest_difference,
          labels.accelerator(each.target, run))
         for each in compared],
    )  # fmt: skip
