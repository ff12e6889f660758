"""A table for rich, in columns where the terminal is wide enough, else a line for each cell.

Rich's own table cuts words and numbers, or drops columns, where the terminal is narrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from lab.folded_text import FoldedText, least_width
from lab.language.text_width import width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.text import Text

_MOST_UNFOLDED = 20  # a longer word, such as a path, is folded: it is no figure
_SHORT = 10  # a column of few characters is not folded
_MARGIN = "  "
_MARK_END = " "


@dataclass(frozen=True, slots=True)
class TerminalTable:
    """Headings and rows. The first `words` columns fold; the others are numbers and never do.

    `colon` separates a heading from its cell where each cell has a line. `ruled` draws a frame and
    a line between rows.
    """

    title: Text
    headings: Sequence[Text]
    rows: Sequence[Sequence[Text]]
    words: int
    colon: str = ": "
    ruled: bool = False

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Yield what rich prints at the width of its options."""
        columns = len(self.headings)
        between = 3 * columns + 1 if self.ruled else 2 * (columns - 1)
        widths = distribute(*self._bounds(), options.max_width - between)
        if widths:
            yield self._in_columns(widths)
        else:
            yield from self._in_lines()

    def _bounds(self) -> tuple[list[int], list[int]]:
        """Return the least and the full width of each column."""
        least, full = [], []
        for place, cells in enumerate(zip(self.headings, *self.rows, strict=True)):
            texts = [each.plain for each in cells]
            full.append(max(width(line) for text in texts for line in text.split("\n")))
            folded = max(min(_MOST_UNFOLDED, max(map(least_width, texts))), min(_SHORT, full[-1]))
            least.append(folded if place < self.words else full[-1])
        return least, full

    def _in_columns(self, widths: Sequence[int]) -> Table:
        table = Table(
            title=self.title if self.title.plain else None,
            title_justify="left",
            title_style="bold",
            box=box.HEAVY_HEAD if self.ruled else None,
            pad_edge=self.ruled,
        )
        for place, (heading, columns) in enumerate(zip(self.headings, widths, strict=True)):
            table.add_column(
                heading,
                width=columns,
                justify="left" if place < self.words else "right",
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*row, end_section=self.ruled)
        return table

    def _in_lines(self) -> Iterator[Text]:
        """Yield the title, and a paragraph for each row that begins with its first cell."""
        if self.title.plain:
            yield FoldedText(self.title.plain, "bold underline")
        marked = len(self.headings) > 1 and not self.headings[0].plain  # by a sign: ✓ or !
        for row in self.rows:
            for place, (heading, cell) in enumerate(zip(self.headings, row, strict=True)):
                if not cell.plain or (place == 1 and marked):
                    continue
                if not place and marked:
                    yield FoldedText.assemble(cell, _MARK_END, (row[1].plain, "bold"))
                elif not place or not heading.plain:
                    yield FoldedText.assemble(cell, style="bold" if not cell.style else "")
                elif "\n" in cell.plain:
                    yield FoldedText(f"{heading.plain}{self.colon}".rstrip())
                    for line in cell.split("\n"):
                        yield FoldedText.assemble(_MARGIN, line)
                else:
                    yield FoldedText.assemble(heading.plain, self.colon, cell)
            yield FoldedText("")


def distribute(least: Sequence[int], full: Sequence[int], room: int) -> list[int]:
    """Return widths from least to full that take no more than the room; empty if none do.

    The widest columns are folded first.
    """
    if sum(least) > room:
        return []
    bounds = list(zip(least, full, strict=True))
    most = max(full, default=0)
    while sum(max(fewest, min(wanted, most)) for fewest, wanted in bounds) > room:
        most -= 1
    widths = [max(fewest, min(wanted, most)) for fewest, wanted in bounds]
    for place, wanted in enumerate(full):
        if widths[place] < wanted and sum(widths) < room:
            widths[place] += 1
    return widths
