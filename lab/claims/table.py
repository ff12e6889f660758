"""The containers-vs-VMs table: each claim beside the figures of a run, with a verdict."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lab import tables
from lab.analysis import provenance, summary
from lab.analysis.stored_texts import stored
from lab.analysis.summary_text import INTERVAL
from lab.calibration import text
from lab.claims.catalogue import STATEMENTS, TABLE, Claim
from lab.claims.evidence import evidence_of
from lab.claims.finding import COLOURS
from lab.language.message import Language, Message, joined, translated
from lab.language.punctuation import COLON
from lab.units import UNKNOWN, quantity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from lab.claims.evidence import Figure
    from lab.claims.finding import Range, Verdict
    from lab.results.run_folder import Run


_NUMBERS = ("figures", "claimed")

_KEPT_ROWS = 256  # of a few runs: a report shows each finding several times


@dataclass(frozen=True, slots=True)
class Row:
    """A claim with its finding. `measured`, `interval` and `n` have an entry per figure.

    `figures` and `claimed` are the numbers behind the texts.
    """

    source: str
    claim: str
    measure: str
    measured: tuple[str, ...]
    interval: tuple[str, ...]
    n: tuple[str, ...]
    verdict: Verdict
    reason: str
    figures: tuple[Figure, ...]
    claimed: Range | None


def examine(run: Run, claims: Iterable[Claim] = (*TABLE, *STATEMENTS)) -> list[Row]:
    """Return each claim with the run's finding on it."""
    return [_judged(claim, run) for claim in claims]


def markdown(run: Run, language: Language = Language.ENGLISH) -> str:
    """Return the table and the statements with their conditions, as Markdown."""
    statements = examine(run, STATEMENTS)
    measured = [row for row in statements if row.measured]
    lines = [
        *_markdown_table(Message("claim of the table"), examine(run, TABLE), language),
        "",
        *_markdown_table(Message("claim of the text"), measured, language),
        "",
        *(f"*{tables.literal(translated(line, language))}*\n" for line in conditions(run)),
    ]
    unmeasured = [row for row in statements if not row.measured]
    if unmeasured:
        heading = Message("Statements that this run has no figures for:")
        lines.append(f"{translated(heading, language)}\n")
        for row in unmeasured:
            reason = tables.literal(translated(row.reason, language))
            sentence = Message("{claim}: {reason}.", claim=row.claim, reason=reason)
            lines.append(f"- {translated(joined(COLON, (row.source, sentence)), language)}")
    return "\n".join(lines).rstrip() + "\n"


def csv_lines(run: Run) -> str:
    """Return the findings as CSV, with a line for each figure and one for a claim without any."""
    return csv_of(examine(run))


def csv_of(findings: Iterable[Row]) -> str:
    """Return findings as CSV, as `csv_lines` does."""
    headings = ("source", "claim", "measured", "interval", "n", "verdict", "reason")
    rows = []
    for row in findings:
        figures = list(zip(row.measured, row.interval, row.n, strict=True)) or [("", "", "")]
        rows += [(row.source, row.claim, *each, row.verdict, row.reason) for each in figures]
    return tables.csv_lines(headings, rows)


def document(run: Run) -> dict[str, Any]:
    """Return the findings as a JSON document."""
    return {
        **provenance.document(run),
        "table": [_document(row) for row in examine(run, TABLE)],
        "statements": [_document(row) for row in examine(run, STATEMENTS)],
        "conditions": conditions(run),
    }


def _document(row: Row) -> dict[str, Any]:
    """Return a finding's texts; `tonnage show` has the numbers."""
    return {name: value for name, value in asdict(row).items() if name not in _NUMBERS}


def rules(run: Run, language: Language = Language.ENGLISH) -> str:
    """Return the measure and the bounds of each claim as a Markdown table."""
    rows = [
        (row.source, row.claim, tables.Marked(translated(row.measure, language)))
        for row in examine(run)
    ]
    headings = ("", Message("claim"), Message("measure; required interval"))
    return "\n".join(tables.markdown(headings, rows, language))


def conditions(run: Run) -> list[str]:
    """Return the conditions that accompany the figures: host, accelerator, rounds, calibration."""
    lines: list[str] = [Message("Measured on {where}.", where=provenance.line(run))]
    if run.settings.get("accelerator") == "tcg":
        reason = str(run.host.get("kvm", {}).get("reason") or "").rstrip(".")
        lines.append(
            Message(
                "The machines were emulated (TCG). KVM on this host: {reason}.",
                reason=stored(reason) if reason else Message("not recorded"),
            )
        )
    lines.append(
        Message(
            "Figures are medians. n counts rounds, in each of which every target ran in random"
            " order, or the points of a single filling of the host. Intervals cover this run only:"
            " figures of runs at other times differ by more, and only several runs show by how"
            " much."
        )
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
    return Message(
        "In {count} of {all} figures, consecutive rounds are correlated, which makes their"
        " intervals up to {times} as wide.",
        count=len(dependent),
        all=len(dependences),
        times=quantity(math.sqrt(max(dependent)), "ratio"),
    )


def show(run: Run, console: Console | None = None, language: Language = Language.ENGLISH) -> None:
    """Print the findings, by default on standard output."""
    from rich.console import Console

    from lab.folded_text import FoldedText

    console = console or Console()
    rows = [
        (
            row.source,
            row.claim,
            joined("\n", _figures(row)) if row.measured else UNKNOWN,
            FoldedText.assemble(
                (translated(row.verdict.message, language), f"bold {COLOURS[row.verdict]}"),
                translated(COLON, language),
                tables.plain(translated(row.reason, language)),
            ),
        )
        for row in examine(run)
    ]
    headings = ("", Message("claim"), Message("measured (95 % interval; n)"), Message("verdict"))
    console.print(tables.folding(headings, rows, ruled=True, language=language))
    for line in conditions(run):
        console.print(tables.paragraph(translated(line, language), "dim"))


def _figures(row: Row) -> list[str]:
    """Return a line per figure with its interval and n."""
    figures = zip(row.measured, row.interval, row.n, strict=True)
    return [
        Message("{measured} ({interval}; {n})", measured=measured, interval=interval, n=n)
        for measured, interval, n in figures
    ]


@lru_cache(maxsize=_KEPT_ROWS)
def _judged(claim: Claim, run: Run) -> Row:
    finding = claim.judge(evidence_of(run))
    return Row(
        source=claim.source,
        claim=claim.text,
        measure=claim.measure,
        measured=tuple(figure.value for figure in finding.figures),
        interval=tuple(figure.interval for figure in finding.figures),
        n=tuple(figure.n for figure in finding.figures),
        verdict=finding.verdict,
        reason=finding.reason,
        figures=tuple(finding.figures),
        claimed=claim.claimed,
    )


def _markdown_table(heading: str, rows: Sequence[Row], language: Language) -> list[str]:
    headings = ("", heading, Message("measured"), INTERVAL, "n", Message("verdict"))
    return tables.markdown(
        headings,
        [
            (
                row.source,
                tables.Marked(translated(row.claim, language)),
                _lines(row.measured, language),
                _lines(row.interval, language),
                _lines(row.n, language),
                _verdict(row, language),
            )
            for row in rows
        ],
        language,
    )


def _verdict(row: Row, language: Language) -> tables.Marked:
    verdict = translated(row.verdict.message, language)
    reason = tables.literal(translated(row.reason, language))
    return tables.Marked(f"**{verdict}**{translated(COLON, language)}{reason}")


def _lines(figures: Sequence[str], language: Language) -> tables.Marked:
    """Return a cell with a line per figure."""
    lines = (tables.literal(translated(each, language)) for each in figures)
    return tables.Marked("<br>".join(lines) or UNKNOWN)
