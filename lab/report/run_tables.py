"""The conditions of a run as tables of the page: host, settings, rounds, workloads, verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import tables, units
from lab.analysis import across_runs, labels, provenance
from lab.claims import table as claims
from lab.language.message import Message, joined
from lab.language.punctuation import COLON, SEMICOLON
from lab.report.cards import SIGNS
from lab.report.data_table import Cell, Column, Table, from_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.claims.table import Row
    from lab.results.run_folder import Run


@dataclass(frozen=True, slots=True)
class Across:
    """The figures across runs, as far as there are enough runs, and a sentence on the runs."""

    sentence: str
    table: Table | None


def verdicts(findings: Sequence[Row]) -> Table:
    """Return every claim with its rule, its figures and its verdict."""
    headings = (
        Message("claim of"), Message("claim"), Message("measure; required interval"),
        Message("measured"), Message("verdict"), Message("why"),
    )  # fmt: skip
    rows = tuple(
        (
            Cell(row.source),
            Cell(row.claim),
            Cell(row.measure, is_marked=True),
            Cell(joined(SEMICOLON, row.measured)),
            Cell(SIGNS[row.verdict].word),
            Cell(row.reason),
        )
        for row in findings
    )
    return Table(
        "verdicts",
        Message("Every claim and its verdict"),
        tuple(map(Column, headings)),
        rows,
        claims.csv_of(findings),
    )


def host(run: Run) -> list[Table]:
    """Return the host's facts, the run's settings, and the rounds of each experiment."""
    value = Message("value")
    made = [
        from_texts(
            "host",
            Message("The host"),
            (Message("fact"), value, Message("meaning")),
            provenance.host_rows(run),
        ),
        from_texts(
            "settings",
            Message("The run's settings"),
            (Message("setting"), value),
            provenance.setting_rows(run),
        ),
    ]
    if rounds := provenance.round_rows(run):
        made.append(from_texts("rounds", Message("Rounds"), provenance.ROUND_COLUMNS, rounds))
    return made


def workloads(run: Run) -> list[Table]:
    """Return the workloads with the resource that bounds each; empty if the run has none."""
    rows = provenance.workload_rows(run)
    caption = Message("The workloads, and the resource that bounds each of them")
    return [from_texts("workloads", caption, provenance.WORKLOAD_COLUMNS, rows)] if rows else []


def across(run: Run) -> Across:
    """Return the figures across the comparable runs in the folder of this one."""
    beside = across_runs.siblings(run)
    if len(beside) < across_runs.FEWEST_RUNS:
        return Across(
            Message(
                "How much figures differ from run to run on this host is unknown: fewer than"
                " {fewest} comparable runs are in the same folder as this run.",
                fewest=across_runs.FEWEST_RUNS,
            ),
            None,
        )
    names = ", ".join(each.path.name for each in beside)
    return Across(
        Message("{count} runs of this host: {names}.", count=len(beside), names=names),
        _across(across_runs.shared(beside)),
    )


def _across(figures: Sequence[across_runs.Across]) -> Table:
    rows = tuple(
        (
            Cell(joined(COLON, (labels.experiment(each.experiment), each.name))),
            Cell(labels.metric(each.metric)),
            Cell(
                units.quantity(each.estimate.centre, each.unit, each.estimate.high or 0.0),
                each.estimate.centre,
            ),
            Cell(
                units.interval(each.estimate.low, each.estimate.high, each.unit),
                each.estimate.low,
                each.estimate.low is None,
            ),
            Cell(str(each.estimate.n), each.estimate.n),
            Cell(units.share(each.from_run_to_run), each.from_run_to_run),
        )
        for each in figures
    )
    values = [
        (each.experiment, each.name, each.metric, each.unit, each.estimate.centre,
         each.estimate.low, each.estimate.high, each.estimate.n, each.from_run_to_run)
        for each in figures
    ]  # fmt: skip
    headings = ("experiment", "name", "metric", "unit", "centre", "low", "high", "runs",
                "coefficient_of_variation")  # fmt: skip
    return Table(
        "across-runs",
        Message("Figures across runs"),
        (
            Column(Message("figure")),
            Column(Message("metric")),
            *(Column(heading, is_numeric=True) for heading in (
                Message("across runs"), Message("95 % interval"), Message("runs"),
                Message("from run to run"),
            )),
        ),
        rows,
        tables.csv_lines(headings, values),
    )  # fmt: skip
