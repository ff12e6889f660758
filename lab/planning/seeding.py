"""Quick pricing: a set is grown from each item at once, by the best of what still fits.

It proves nothing, but finds columns for all items in little time, while they are easy to find.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lab.planning.instance import FloatArray, IntArray
    from lab.planning.pricing import Knapsack

_SEEDS = 600  # sets that are grown at a time, at most


def grow_sets(knapsack: Knapsack, values: FloatArray, scores: FloatArray) -> IntArray:
    """Return a set for each item that is worth something: the item, and the highest scores beside.

    Items beyond a number that memory allows are no seeds; those of the highest worth are.
    """
    usable = np.flatnonzero((values > 0) & (knapsack.limits > 0))
    order = usable[np.argsort(-scores[usable], kind="stable")]
    sizes, limits = knapsack.sizes[order], knapsack.limits[order]
    seeds = np.argsort(-values[order], kind="stable")[:_SEEDS]
    rows = np.arange(len(seeds))
    counts = np.zeros((len(seeds), len(order)), dtype=np.int64)
    counts[rows, seeds] = 1
    room = knapsack.capacity - sizes[seeds]
    fits = np.broadcast_to(limits > 0, counts.shape).copy()
    fits[rows, seeds] = limits[seeds] > 1
    apart = None if knapsack.apart is None else knapsack.apart[np.ix_(order, order)]
    if apart is not None:
        fits &= ~apart[seeds]
    while len(rows):
        for place, column in enumerate(sizes.T):
            fits[rows] &= column <= room[rows, place, None]
        rows = rows[fits[rows].any(axis=1)]
        items = fits[rows].argmax(axis=1)  # the first that fits has the highest score
        copies = limits[items] - counts[rows, items]
        for place, column in enumerate(sizes.T):
            size = column[items]
            fit = room[rows, place] // np.maximum(size, 1)
            copies = np.where(size > 0, np.minimum(copies, fit), copies)
        counts[rows, items] += copies
        room[rows] -= copies[:, None] * sizes[items]
        fits[rows, items] = False  # all copies that fit are taken
        if apart is not None:
            fits[rows] &= ~apart[items]
    sets = np.zeros((len(seeds), len(values)), dtype=np.int64)
    sets[:, order] = counts
    return sets
