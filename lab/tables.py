"""Tables: as Markdown, as columns of plain text, and for a terminal.

Every cell is shown literally, whatever characters it holds.
"""

from __future__ import annotations

import csv
import io
import json
import re
from html import escape
from typing import TYPE_CHECKING, Any

from lab.language.message import Language, translated
from lab.language.punctuation import COLON
from lab.language.text_width import width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Group
    from rich.text import Text

    from lab.terminal_table import TerminalTable

# Markdown's markup. An underscore inside a word and a bracket that begins no link are plain text.
_MARKUP = re.compile(r"[`*|~]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|!(?=\[)|(?<=\[)\^")
_ENTITIES = {"\\": "&#92;", "$": "&#36;", "://": "&#58;//"}


class Marked(str):
    """Text that is Markdown already and is not escaped again."""

    __slots__ = ()


def plain(text: str) -> str:
    """Return the text on one line and without control characters."""
    text = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def literal(text: str) -> str:
    """Return Markdown that shows the text literally."""
    if isinstance(text, Marked):
        return text
    marked = escape(plain(text), quote=False)
    for sign, entity in _ENTITIES.items():
        marked = marked.replace(sign, entity)
    return _MARKUP.sub(r"\\\g<0>", marked)


def markdown(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    language: Language = Language.ENGLISH,
) -> list[str]:
    """Return the lines of a Markdown table."""
    body = [tuple(literal(translated(each, language)) for each in row) for row in rows]
    names = [translated(each, language) for each in headings]
    lines = [names, ("---",) * len(headings), *body]
    return [f"| {' | '.join(line)} |" for line in lines]


def csv_lines(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV, with a line for the headings. (RFC 4180, with newlines of Unix)"""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return written.getvalue()


def marked(csv_text: str) -> str:
    """Return CSV for people: with a byte order mark if it is not mere ASCII.

    Excel takes UTF-8 for what it is only after such a mark; other programs trip over one. So files
    of numbers, as programs read them, have none.
    """
    return csv_text if csv_text.isascii() else f"\N{BYTE ORDER MARK}{csv_text}"


def columns(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    language: Language = Language.ENGLISH,
) -> list[str]:
    """Return lines of plain text with aligned columns, as virsh and docker print them."""
    lines = [[plain(translated(word, language)) for word in line] for line in (headings, *rows)]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            word + " " * (most - width(word)) for word, most in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]


def records(documents: Sequence[dict[str, Any]], keys: Iterable[str] = ()) -> str:
    """Return documents as CSV; a value that has parts of its own is JSON.

    `keys` are the columns that are written even if there are no documents.
    """
    names = list(dict.fromkeys((*keys, *(name for each in documents for name in each))))
    rows = [[_csv_cell(each.get(name)) for name in names] for each in documents]
    return csv_lines(names, rows)


def _csv_cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False)
    return value


def paragraph(text: str, style: str = "") -> Group:
    """Return a sentence that rich prints literally, folded as its language allows it."""
    from rich.console import Group

    return Group(cell(text, style))  # alone, it would be joined to a text that folds at spaces


def cell(text: str, style: str = "") -> Text:
    """Return a cell that rich prints literally, in the given style."""
    from lab.folded_text import FoldedText

    return FoldedText("\n".join(map(plain, text.split("\n"))), style)


def folding(
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    title: str = "",
    *,
    ruled: bool = False,
    language: Language = Language.ENGLISH,
) -> TerminalTable:
    """Return a table for rich whose cells fold to the terminal's width.

    `ruled` draws a frame and a line between rows.
    """
    from lab.terminal_table import TerminalTable

    return TerminalTable(
        cell(translated(title, language)),
        [cell(translated(each, language), "bold") for each in headings],
        [
            [cell(translated(each, language)) if isinstance(each, str) else each for each in row]
            for row in rows
        ],
        words=len(headings),
        colon=translated(COLON, language),
        ruled=ruled,
    )


def numeric(
    title: str,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    language: Language = Language.ENGLISH,
) -> TerminalTable:
    """Return a table for rich with two columns of words, then right-aligned numbers.

    Columns that are empty in every row are left out.
    """
    from lab.terminal_table import TerminalTable

    used = [place for place in range(len(headings)) if any(row[place] for row in rows)]
    return TerminalTable(
        cell(translated(title, language)),
        [cell(translated(headings[place], language), "bold") for place in used],
        [[cell(translated(row[place], language)) for place in used] for row in rows],
        words=sum(place < 2 for place in used),
        colon=translated(COLON, language),
    )
