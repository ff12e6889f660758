"""Rows as tables: Markdown to keep, text to read. A cell is shown as it is, whatever it holds."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table
    from rich.text import Text

# What Markdown would read as its own: an underscore within a word and a lone bracket are not.
_MARKUP = re.compile(r"[`*|~]|(?<![^\W_])_|_(?![^\W_])|\](?=[(\[:])|!(?=\[)|(?<=\[)\^")
_ENTITIES = {"\\": "&#92;", "$": "&#36;", "://": "&#58;//"}


class Marked(str):
    """Text that is Markdown already."""

    __slots__ = ()


def plain(text: str) -> str:
    """Return the text on one line and without control characters."""
    text = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def literal(text: str) -> str:
    """Return Markdown that shows the text as it is."""
    if isinstance(text, Marked):
        return text
    marked = escape(plain(text), quote=False)
    for sign, entity in _ENTITIES.items():
        marked = marked.replace(sign, entity)
    return _MARKUP.sub(r"\\\g<0>", marked)


def markdown(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the lines of a Markdown table."""
    shown = (tuple(map(literal, row)) for row in rows)
    lines = [headings, ("---",) * len(headings), *shown]
    return [f"| {' | '.join(line)} |" for line in lines]


def cell(text: str, style: str = "") -> Text:
    """Return a cell that rich prints as it is."""
    from rich.text import Text

    return Text("\n".join(map(plain, text.split("\n"))), style)


def text(title: str, headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    """Two columns of words and some of numbers, without those in which no row has any."""
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
