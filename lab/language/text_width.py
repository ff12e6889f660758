"""The columns that a terminal takes for a text. (Unicode, UAX #11)"""

from __future__ import annotations

import unicodedata
from itertools import accumulate


def width(text: str) -> int:
    """Return the columns of a text on one line, two for a Chinese character."""
    return len(text) if text.isascii() else sum(map(of_letter, text))


def of_letter(letter: str) -> int:
    """Return the columns of a letter; none for a mark that stands on the letter before it."""
    if unicodedata.combining(letter):
        return 0
    return 2 if is_wide(letter) else 1


def cut(text: str, most: int) -> str:
    """Return the text in at most so many columns, an ellipsis at its end if it is cut."""
    if width(text) <= most:
        return text
    kept = sum(1 for columns in accumulate(map(of_letter, text)) if columns < most)
    return f"{text[:kept].rstrip()}…"


def is_wide(letter: str) -> bool:
    """Return True if the letter takes two columns, as Chinese ones do."""
    return unicodedata.east_asian_width(letter) in "WF"
