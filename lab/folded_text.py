"""Text on a terminal that is folded where its language allows it.

Rich folds at spaces alone. Chinese has none: its lines end between any two characters, but not
before a closing mark and not after an opening one. (Requirements for Chinese Text Layout, W3C,
section 3.1.3) A number and its unit stay together in every language.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.containers import Lines
from rich.measure import Measurement
from rich.text import Text

from lab.language.text_width import is_wide, of_letter, width
from lab.units import SHOWN_UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, JustifyMethod, OverflowMethod

_OPENING = frozenset("（「『《〈【“‘([")
_CLOSING = frozenset("）」』》〉】”’)]，。、；：？！,.;:?!%…")
_KEPT_WIDTHS = 4096  # cells of a table repeat: names, units, empty ones
_BEFORE_UNIT = re.compile(r"\d $")


def pieces(text: str) -> Iterator[str]:
    """Yield the parts between which a line may end; a space belongs to the part before it."""
    begin = 0
    for end in range(1, len(text)):
        if _may_end(text, end):
            yield text[begin:end]
            begin = end
    if text:
        yield text[begin:]


def _may_end(text: str, end: int) -> bool:
    before, after = text[end - 1], text[end]
    if before == " ":
        is_number = _BEFORE_UNIT.search(text, max(0, end - 2), end)
        return after != " " and not (is_number and SHOWN_UNIT.match(text, end))
    if before == "-":  # within a name such as file-cached-read, but not within a date
        return end > 1 and text[end - 2].isalpha() and after.isalpha()
    if before in _OPENING or after in _CLOSING or after == " ":
        return False
    return is_wide(before) or is_wide(after)


@lru_cache(maxsize=_KEPT_WIDTHS)
def least_width(text: str) -> int:
    """Return the columns of the widest part that can't be folded."""
    return max((width(each.rstrip()) for line in text.split("\n") for each in pieces(line)),
               default=0)  # fmt: skip


def line_ends(text: str, most: int) -> list[int]:
    """Return where the lines of the text end, so that none takes more columns than `most`."""
    if width(text) <= most:
        return []
    ends: list[int] = []
    place = used = 0
    for piece in pieces(text):
        columns = width(piece.rstrip())
        if used and used + columns > most:
            ends.append(place)
            used = 0
        if columns > most:
            used = _split(piece, place, most, ends)
        else:
            used += width(piece)
        place += len(piece)
    return ends


def _split(piece: str, place: int, most: int, ends: list[int]) -> int:
    """Add ends within a part that is wider than a line; return the columns of what remains."""
    used = 0
    for offset, letter in enumerate(piece):
        columns = of_letter(letter)
        if used and used + columns > most:
            ends.append(place + offset)
            used = 0
        used += columns
    return used


class FoldedText(Text):
    """A text of rich whose lines end where the language allows it."""

    def wrap(
        self,
        console: Console,
        width: int,
        *,
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        tab_size: int = 8,
        no_wrap: bool | None = None,
    ) -> Lines:
        """Return the lines, none of which takes more than `width` columns."""
        if no_wrap or self.no_wrap:
            return super().wrap(
                console,
                width,
                justify=justify,
                overflow=overflow,
                tab_size=tab_size,
                no_wrap=no_wrap,
            )
        lines = Lines()
        for line in self.split(allow_blank=True):
            folded = line.divide(line_ends(line.plain, max(width, 2)))
            for each in folded:
                each.rstrip()
            if justify in ("center", "right"):
                folded.justify(console, width, justify=justify)
            lines.extend(folded)
        return lines

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the columns of the widest part, and of the widest line."""
        widest = max(map(width, self.plain.split("\n")))
        return Measurement(least_width(self.plain), widest)
