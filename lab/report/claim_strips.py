"""Strips of a card: each figure with its interval, over the range that is claimed, on a log scale.

All strips of a card have the same scale, so that the range is a band down the card.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import units
from lab.language.message import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.claims.evidence import Figure
    from lab.claims.finding import Range

_MARGIN = 0.12  # of the scale, at both ends
_SHORTEST = math.log(2)  # a scale is no shorter: a percent should not look like a gulf
_HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Strip:
    """Places in per cent of the width: the ends of the claimed band, the figure, its interval."""

    band: tuple[float, float]
    centre: float
    low: float
    high: float


def strips(figures: Sequence[Figure], claimed: Range | None) -> list[Strip | None]:
    """Return a strip for each figure; None for one that is of another kind than what is claimed."""
    unit = claimed.unit if claimed else None
    drawn = [_ends(figure) if figure.unit == unit else None for figure in figures]
    known = [end for ends in drawn if ends for end in ends]
    if claimed is None or not known:
        return [None] * len(figures)
    bounds = [bound for bound in (claimed.least, claimed.most) if 0 < bound < math.inf]
    low, high = (math.log(pick([*known, *bounds])) for pick in (min, max))
    middle, half = (low + high) / 2, max(high - low, _SHORTEST) / 2 / (1 - 2 * _MARGIN)

    def place(value: float) -> float:
        if value <= 0:
            return 0.0
        share = (math.log(value) - middle + half) / (2 * half) if value < math.inf else 1.0
        return round(100 * min(1.0, max(0.0, share)), 2)

    band = place(claimed.least), place(claimed.most)
    return [Strip(band, *map(place, ends)) if ends else None for ends in drawn]


def words(claimed: Range) -> Message:
    """Return the claimed range as text, in the units in which people claim."""
    most_included = claimed.most - 1 if claimed.unit == "integer" else claimed.most
    least, most = (_shown(bound, claimed.unit) for bound in (claimed.least, most_included))
    if claimed.most == math.inf:
        return Message("claimed: {least} or more (log scale)", least=least)
    if claimed.least <= 0:
        return Message("claimed: up to {most} (log scale)", most=most)
    return Message("claimed: {least} to {most} (log scale)", least=least, most=most)


def _ends(figure: Figure) -> tuple[float, float, float] | None:
    """Return centre and interval, if a logarithmic scale has a place for the centre."""
    if not 0 < figure.centre < math.inf:
        return None
    low = figure.low if figure.low and 0 < figure.low < math.inf else figure.centre
    high = figure.high if figure.high and 0 < figure.high < math.inf else figure.centre
    return figure.centre, low, high


def _shown(bound: float, unit: str) -> str:
    if unit == "byte":
        return units.decimal_bytes(bound)
    if unit == "second":
        return f"{bound / _HOUR_SECONDS:g} h" if bound >= _HOUR_SECONDS else f"{bound:g} s"
    return units.quantity(bound, unit)
