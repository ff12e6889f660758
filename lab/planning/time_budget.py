"""A deadline that several searches share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class TimeBudget:
    """The time until a deadline, for searches that follow each other.

    `weights` has the weight of each search by name. A search gets its part of the time that is left
    when it begins, so that what one leaves is for those that follow.
    """

    def __init__(self, seconds: float, weights: Mapping[str, float]) -> None:
        self._until = time.monotonic() + seconds
        self._weights = dict(weights)

    def seconds_for(self, name: str) -> float:
        """Return the seconds for a search that begins now, and takes its turn once."""
        left = max(0.0, self._until - time.monotonic())
        part = self._weights[name] / sum(self._weights.values())
        del self._weights[name]
        return left * part

    def drop(self, name: str) -> None:
        """Leave a search out, and its time to the others."""
        del self._weights[name]
