"""Verdicts as cards: what is claimed, what was measured, and what follows, in one look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import tables
from lab.claims import table
from lab.claims.catalogue import TABLE
from lab.claims.finding import Verdict
from lab.language.message import Language, Message, joined, translated
from lab.language.punctuation import SEMICOLON
from lab.report import claim_strips, markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from lab.claims.table import Row
    from lab.results.run_folder import Run

SHOWN = 3  # figures of a card; the others unfold


@dataclass(frozen=True, slots=True)
class Sign:
    """A verdict's name in the style sheet, its sign for people who don't see colours, its words.

    `word` is that of one claim, `words` that of several.
    """

    name: str
    sign: str
    word: str
    words: str


SIGNS = {
    verdict: Sign(name, sign, verdict.message, words)
    for verdict, name, sign, words in (
        (Verdict.HOLDS, "holds", "✓", Message("hold")),
        (Verdict.FAILS, "fails", "✗", Message("do not hold")),
        (Verdict.INCONCLUSIVE, "inconclusive", "?", Verdict.INCONCLUSIVE.message),
        (Verdict.UNTESTED, "untested", "–", Verdict.UNTESTED.message),
    )
}


def section(run: Run, languages: tuple[Language, ...] = markup.ENGLISH) -> str:
    """Return a card for each claim of the table, as HTML."""
    return of(table.examine(run, TABLE), languages)


def of(rows: Sequence[Row], languages: tuple[Language, ...]) -> Markup:
    """Return a card for each row, as HTML."""
    cards = [
        {
            "source": Message("statement {number}", number=row.source)
            if row.source[:1].isdigit()
            else row.source,
            "claim": row.claim,
            "measure": row.measure,
            "reason": row.reason,
            "sign": SIGNS[row.verdict],
            "claimed": claim_strips.words(row.claimed) if row.claimed else "",
            "figures": [
                (value, joined(SEMICOLON, (interval, n)), strip)
                for value, interval, n, strip in zip(
                    row.measured,
                    row.interval,
                    row.n,
                    claim_strips.strips(row.figures, row.claimed),
                    strict=True,
                )
            ],
        }
        for row in rows
    ]
    return markup.render("cards.html", languages, rows=cards, shown=SHOWN)


def tally(rows: Sequence[Row]) -> list[tuple[Sign, int]]:
    """Return how many rows have each verdict, without verdicts that none has."""
    verdicts = [row.verdict for row in rows]
    return [(sign, n) for verdict, sign in SIGNS.items() if (n := verdicts.count(verdict))]


def limits(run: Run, language: Language = Language.ENGLISH) -> str:
    """Return the conditions of the run, on which its verdicts depend, as a list in Markdown."""
    lines = (translated(line, language) for line in table.conditions(run))
    return "\n".join(f"- {tables.literal(line)}" for line in lines)
