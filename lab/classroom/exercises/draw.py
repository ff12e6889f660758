"""Choices that a student's ID decides: the same on every machine and with every Python.

`random` promises that for `random()` alone, and not for its choices and shuffles. Here each draw is
a number of SHA-256 in counter mode.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")


class Draw:
    """A sequence of draws, decided by the words that it begins with."""

    def __init__(self, *words: str) -> None:
        normal = [unicodedata.normalize("NFC", word) for word in words]
        # The length before each word keeps ("a", "bc") apart from ("ab", "c").
        self._key = "".join(f"{len(word)}:{word}" for word in normal).encode(errors="replace")
        self._count = 0

    def below(self, end: int) -> int:
        """Return an integer from 0 to `end` - 1."""
        digest = hashlib.sha256(self._key + b"\0" + str(self._count).encode()).digest()
        self._count += 1
        return int.from_bytes(digest, "big") % end

    def choice(self, things: Sequence[T]) -> T:
        """Return one of the things."""
        return things[self.below(len(things))]

    def shuffled(self, things: Iterable[T]) -> list[T]:
        """Return the things in a random order. (Fisher and Yates)"""
        order = list(things)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order

    def some(self, things: Iterable[T], count: int) -> list[T]:
        """Return up to `count` of the things, in a random order."""
        return self.shuffled(things)[:count]
