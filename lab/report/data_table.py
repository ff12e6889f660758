"""Tables of the page: cells that are read as text and sorted by value, and the same rows as CSV."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from lab import tables

if TYPE_CHECKING:
    from collections.abc import Sequence


_LITERAL = ",:/()"  # what stands for itself in an address of the scheme `data:`


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, and the number by which it is sorted; None if its text decides.

    `is_unknown` cells are last in both directions. A text of the code may have markup.
    """

    shown: str
    order: float | None = None
    is_unknown: bool = False
    is_marked: bool = False

    @property
    def sort_key(self) -> str:
        """The number to sort by, if the text is not that number itself; empty without one."""
        if self.order is None or self.is_unknown or self.shown == str(self.order):
            return ""
        return f"{self.order:.9g}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading. Numbers stand on the right."""

    heading: str
    is_numeric: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with headings. `csv` has the values behind them in base units, for other programs."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    csv: str

    @property
    def link(self) -> str:
        """The CSV as an address, which a browser saves without a server and without a script."""
        return f"data:text/csv;charset=utf-8,{quote(tables.marked(self.csv), safe=_LITERAL)}"


def address(kind: str, content: bytes) -> str:
    """Return content as an address of the scheme `data:`. (RFC 2397)"""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def from_texts(
    name: str, caption: str, headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> Table:
    """Return a table of words."""
    return Table(
        name,
        caption,
        tuple(Column(heading) for heading in headings),
        tuple(tuple(Cell(text) for text in row) for row in rows),
        tables.csv_lines([str(heading) for heading in headings], rows),
    )
