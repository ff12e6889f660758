"""Histograms of response times, by the time of arrival, with a bounded relative error.

A bin is a 64th of an octave, so that a percentile is off by less than 0.8 %. The bin of a time is
the exponent and the first six bits of the mantissa of its floating-point number. (Tene's
HdrHistogram has such bins.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.scaling.arrays import FloatArray, IntArray

_BITS = 6
_SHIFT = 52 - _BITS
_LOWEST, _HIGHEST = 2.0**-20, 2.0**25  # 1 µs and 388 days; a time beyond is in an end bin
_OFFSET = int(np.array([_LOWEST]).view(np.int64)[0]) >> _SHIFT
COUNT = (int(np.array([_HIGHEST]).view(np.int64)[0]) >> _SHIFT) - _OFFSET


def bins(seconds: FloatArray) -> IntArray:
    """Return the bin of each time."""
    places = (np.ascontiguousarray(seconds).view(np.int64) >> _SHIFT) - _OFFSET
    clipped: IntArray = np.clip(places, 0, COUNT - 1)
    return clipped


def middles() -> FloatArray:
    """Return the time in the middle of each bin."""
    edges = ((np.arange(COUNT + 1) + _OFFSET) << _SHIFT).view(np.float64)
    middle: FloatArray = (edges[:-1] + edges[1:]) / 2
    return middle


def percentiles(histogram: IntArray, shares: Sequence[float]) -> list[float | None]:
    """Return the times below which the shares of a histogram's counts lie; None if it is empty."""
    cumulative = histogram.cumsum()
    total = int(cumulative[-1])
    if not total:
        return [None for _ in shares]
    ranks = np.ceil(np.array(shares) * total)
    places = np.searchsorted(cumulative, np.maximum(ranks, 1))
    return [float(time) for time in middles()[places]]
