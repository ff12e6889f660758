"""Verdicts as cards: what is claimed, what was measured, and what follows, in one look."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from lab import tables
from lab.claims import table
from lab.claims.catalogue import TABLE
from lab.claims.finding import Verdict
from lab.units import UNKNOWN

if TYPE_CHECKING:
    from lab.claims.table import Row
    from lab.results.run_folder import Run

# A sign beside the colour, for people who don't see the colours.
_SIGNS = {
    Verdict.HOLDS: ("✓", "holds"),
    Verdict.FAILS: ("✗", "fails"),
    Verdict.INCONCLUSIVE: ("?", "inconclusive"),
    Verdict.UNTESTED: ("–", "untested"),
}


def section(run: Run) -> str:
    """Return a card for each claim of the table, as HTML."""
    cards = "\n".join(_card(row) for row in table.examine(run, TABLE))
    return f'<div class="cards">\n{cards}\n</div>'


def limits(run: Run) -> str:
    """Return the conditions of the run, on which its verdicts depend, as a list in Markdown."""
    return "\n".join(f"- {tables.literal(line)}" for line in table.conditions(run))


def _card(row: Row) -> str:
    sign, name = _SIGNS[row.verdict]
    figures = list(zip(row.measured, row.interval, row.n, strict=True))
    measured = f'<p class="figure">{UNKNOWN}</p>'
    if figures:
        value, interval, n = figures[0]
        measured = (
            f'<p class="figure">{escape(value)}</p>'
            f'<p class="interval">{escape(interval)}; {escape(n)}</p>'
        )
    return (
        f'<article class="card {name}"><p class="source">{escape(row.source)}</p>'
        f"<h3>{escape(row.claim)}</h3>{measured}"
        f'<p><strong><span aria-hidden="true">{sign}</span> {escape(row.verdict)}</strong>:'
        f" {escape(tables.plain(row.reason))}</p></article>"
    )
