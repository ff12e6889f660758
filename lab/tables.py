"""Rows as tables: Markdown to keep, text to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table


def markdown(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = [headings, ("---",) * len(headings), *rows]
    return [f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines]


def text(title: str, headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    """Two columns of words and some of numbers, without those in which no row has any."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    used = [place for place in range(len(headings)) if any(row[place] for row in rows)]
    for place in used:
        if place < 2:
            table.add_column(headings[place], overflow="fold")
        else:
            table.add_column(headings[place], justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(row[place] for place in used))
    return table
