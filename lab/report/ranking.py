"""Ranks that say no more than the intervals do.

A target is ahead of another one only if their intervals don't overlap. So a target has a range of
ranks: from one more than the number of targets that are ahead of it, to the number of targets less
those that it is ahead of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Rank:
    """The best and the worst rank that the intervals allow."""

    best: int
    worst: int

    def __str__(self) -> str:
        return f"{self.best}" if self.best == self.worst else f"{self.best} – {self.worst}"


Interval = tuple[float | None, float | None]


def ranks(
    intervals: Sequence[Interval], better: Literal["less", "more"] | None
) -> list[Rank | None]:
    """Return a rank for each interval.

    None for an unknown interval, and for all where neither direction is better or where only one
    interval is known. Equal counts share a range.
    """
    known = [(low, high) for low, high in intervals if low is not None and high is not None]
    if better is None or len(known) < 2:
        return [None] * len(intervals)
    if better == "more":
        known = [(-high, -low) for low, high in known]
    ranked = iter([_rank(each, known) for each in known])
    return [None if None in each else next(ranked) for each in intervals]


def _rank(own: tuple[float, float], known: list[tuple[float, float]]) -> Rank:
    ahead = sum(high < own[0] for _, high in known)
    behind = sum(low > own[1] for low, _ in known)
    return Rank(ahead + 1, len(known) - behind)
