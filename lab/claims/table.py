"""The containers-vs-VMs table: each claim beside the figures of a run, with a verdict."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lab import tables
from lab.analysis import provenance, summary
from lab.calibration import text
from lab.claims.catalogue import STATEMENTS, TABLE, Claim
from lab.claims.evidence import Evidence
from lab.claims.finding import COLOURS, Finding
from lab.units import UNKNOWN, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from lab.claims.finding import Verdict
    from lab.results.run_folder import Run


@dataclass(frozen=True, slots=True)
class Row:
    """A claim with its finding. `measured`, `interval` and `n` have an entry per figure."""

    source: str
    claim: str
    measure: str
    measured: tuple[str, ...]
    interval: tuple[str, ...]
    n: tuple[str, ...]
    verdict: Verdict
    reason: str


def examine(run: Run, claims: Iterable[Claim] = (*TABLE, *STATEMENTS)) -> list[Row]:
    """Return each claim with the run's finding on it."""
    evidence = Evidence(run)
    return [_row(claim, claim.judge(evidence)) for claim in claims]


def markdown(run: Run) -> str:
    """Return the table and the statements with their conditions, as Markdown."""
    statements = examine(run, STATEMENTS)
    lines = [
        *_markdown_table("claim of the table", examine(run, TABLE)),
        "",
        *_markdown_table("claim of the text", [row for row in statements if row.measured]),
        "",
        *(f"*{tables.literal(line)}*\n" for line in conditions(run)),
    ]
    unmeasured = [row for row in statements if not row.measured]
    if unmeasured:
        lines.append("Statements that this run has no figures for:\n")
        lines += [
            f"- {row.source}: {row.claim}: {tables.literal(row.reason)}." for row in unmeasured
        ]
    return "\n".join(lines).rstrip() + "\n"


def csv_lines(run: Run) -> str:
    """Return the findings as CSV, with a line for each figure and one for a claim without any."""
    headings = ("source", "claim", "measured", "interval", "n", "verdict", "reason")
    rows = []
    for row in examine(run):
        figures = list(zip(row.measured, row.interval, row.n, strict=True)) or [("", "", "")]
        rows += [(row.source, row.claim, *each, row.verdict, row.reason) for each in figures]
    return tables.csv_lines(headings, rows)


def document(run: Run) -> dict[str, Any]:
    """Return the findings as a JSON document."""
    return {
        **provenance.document(run),
        "table": [asdict(row) for row in examine(run, TABLE)],
        "statements": [asdict(row) for row in examine(run, STATEMENTS)],
        "conditions": conditions(run),
    }


def rules(run: Run) -> str:
    """Return the measure and the bounds of each claim as a Markdown table."""
    rows = [(row.source, row.claim, tables.Marked(row.measure)) for row in examine(run)]
    return "\n".join(tables.markdown(("", "claim", "measure; required interval"), rows))


def conditions(run: Run) -> list[str]:
    """Return the conditions that accompany the figures: host, accelerator, rounds, calibration."""
    lines = [f"Measured on {provenance.line(run)}."]
    if run.settings.get("accelerator") == "tcg":
        reason = str(run.host.get("kvm", {}).get("reason") or "not recorded").rstrip(".")
        lines.append(f"The machines were emulated (TCG). KVM on this host: {reason}.")
    lines.append(
        "Figures are medians. n counts rounds, in each of which every target ran in random order,"
        " or the points of a single filling of the host. Intervals cover this run only: figures of"
        " runs at other times differ by more, and only several runs show by how much."
    )
    remarks = [provenance.disturbances(run), _dependences(run)]
    calibration = text.sentence(run.settings.get("calibration"))
    return [*lines, *filter(None, remarks), calibration]


def _dependences(run: Run) -> str:
    """Return a sentence on figures whose consecutive rounds are correlated; empty if none are."""
    dependences = [
        each.dependence
        for each in summary.measurements(run)
        if not summary.metric(run, each.experiment, each.metric).explains
    ]
    dependent = [dependence for dependence in dependences if dependence > 1]
    if not dependent:
        return ""
    return (
        f"In {len(dependent)} of {len(dependences)} figures, consecutive rounds are correlated,"
        " which makes their intervals up to"
        f" {quantity(math.sqrt(max(dependent)), 'ratio')} as wide."
    )


def show(run: Run, console: Console | None = None) -> None:
    """Print the findings, by default on standard output."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    rows = [
        (
            row.source,
            row.claim,
            "\n".join(_figures(row)) or UNKNOWN,
            Text.assemble(
                (row.verdict, f"bold {COLOURS[row.verdict]}"), f": {tables.plain(row.reason)}"
            ),
        )
        for row in examine(run)
    ]
    headings = ("", "claim", "measured (95 % interval; n)", "verdict")
    console.print(tables.folding(headings, rows, ruled=True))
    for line in conditions(run):
        console.print(line, style="dim", highlight=False, markup=False)


def _figures(row: Row) -> list[str]:
    """Return a line per figure with its interval and n."""
    figures = zip(row.measured, row.interval, row.n, strict=True)
    return [f"{measured} ({interval}; {n})" for measured, interval, n in figures]


def _row(claim: Claim, finding: Finding) -> Row:
    return Row(
        source=claim.source,
        claim=claim.text,
        measure=claim.measure,
        measured=tuple(figure.value for figure in finding.figures),
        interval=tuple(figure.interval for figure in finding.figures),
        n=tuple(figure.n for figure in finding.figures),
        verdict=finding.verdict,
        reason=finding.reason,
    )


def _markdown_table(heading: str, rows: Sequence[Row]) -> list[str]:
    return tables.markdown(
        ("", heading, "measured", "95 % interval", "n", "verdict"),
        [
            (
                row.source,
                tables.Marked(row.claim),
                _lines(row.measured),
                _lines(row.interval),
                _lines(row.n),
                tables.Marked(f"**{row.verdict}**: {tables.literal(row.reason)}"),
            )
            for row in rows
        ],
    )


def _lines(figures: Sequence[str]) -> tables.Marked:
    """Return a cell with a line per figure."""
    return tables.Marked("<br>".join(map(tables.literal, figures)) or UNKNOWN)
