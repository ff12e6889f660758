"""Tables: as Markdown, as columns of plain text, and for a terminal.

Every cell is shown literally, whatever characters it holds.
"""

from __future__ import annotations

import csv
import io
import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table
    from rich.text import Text

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


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    body = [tuple(map(literal, row)) for row in rows]
    lines = [headings, ("---",) * len(headings), *body]
    return [f"| {' | '.join(line)} |" for line in lines]


def csv_lines(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV, with a line for the headings. (RFC 4180, with newlines of Unix)"""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return written.getvalue()


def columns(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return lines of plain text with aligned columns, as virsh and docker print them."""
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def cell(text: str, style: str = "") -> Text:
    """Return a cell that rich prints literally, in the given style."""
    from rich.text import Text

    return Text("\n".join(map(plain, text.split("\n"))), style)


def folding(
    headings: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    title: str = "",
    *,
    ruled: bool = False,
) -> Table:
    """Return a rich table whose cells fold to the terminal's width.

    `ruled` draws a frame and a line between rows.
    """
    from rich import box
    from rich.table import Table

    table = Table(
        title=cell(title) if title else None,
        title_justify="left",
        title_style="bold",
        box=box.HEAVY_HEAD if ruled else None,
        pad_edge=ruled,
    )
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        cells = (cell(each) if isinstance(each, str) else each for each in row)
        table.add_row(*cells, end_section=ruled)
    return table


def numeric(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a rich table with two columns of words, then right-aligned numbers.

    Columns that are empty in every row are left out.
    """
    from rich.table import Table

    table = Table(
        title=cell(title), title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    used = [place for place in range(len(headings)) if any(row[place] for row in rows)]
    for place in used:
        if place < 2:
            table.add_column(headings[place], overflow="fold")
        else:
            table.add_column(headings[place], justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(cell(row[place]) for place in used))
    return table
