"""Percentiles of a list of values. Workers load this module, so it imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` per cent lie, interpolated between the nearest ranks.

    Raise ValueError if there are no values. (Hyndman and Fan, 1996, definition 7)
    """
    if not values:
        raise ValueError("An empty list has no percentiles.")
    ordered = sorted(values)
    place = (len(ordered) - 1) * share / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
