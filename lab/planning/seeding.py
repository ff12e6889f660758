"""Quick pricing: a set is grown from each item at once, by the best of what still fits.

It proves nothing, but finds columns for all items in little time, while they are easy to find. All
kinds of hosts are filled in the same steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.planning.instance import FloatArray, IntArray
    from lab.planning.pricing import Knapsack

_SEEDS = 600  # sets that are grown at a time, at most, of each kind of host
_CELLS = 8_000_000  # counts of sets that are held in memory


def grow_sets(
    knapsacks: Sequence[Knapsack], values: FloatArray, scores: FloatArray
) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield places of knapsacks and sets: an item, and those of the highest scores beside it.

    `scores` has a row for each knapsack. There is a set for each item that is worth something.
    Items beyond a number that memory allows are no seeds; those of the highest worth are.
    """
    items = len(values)
    portion = max(1, _CELLS // max(1, items * min(items, _SEEDS)))
    for begin in range(0, len(knapsacks), portion):
        chosen = slice(begin, begin + portion)
        place, sets = _grow(knapsacks[chosen], values, scores[chosen])
        yield begin + place, sets


def _grow(
    knapsacks: Sequence[Knapsack], values: FloatArray, scores: FloatArray
) -> tuple[IntArray, IntArray]:
    """Return the place of the knapsack of each set, and the sets."""
    sizes, apart = knapsacks[0].sizes, knapsacks[0].apart
    limits = np.stack([knapsack.limits for knapsack in knapsacks])
    usable = (values > 0) & (limits > 0)
    most = int(usable.sum(axis=1).max())
    order = np.argsort(-np.where(usable, scores, -np.inf), axis=1, kind="stable")[:, :most]
    seeds = np.argsort(-np.where(usable, values, -np.inf), axis=1, kind="stable")
    seeds = seeds[:, : min(most, _SEEDS)]
    alive = np.take_along_axis(usable, seeds, axis=1)
    counts = np.zeros((*seeds.shape, len(values)), dtype=np.int64)
    np.put_along_axis(counts, seeds[:, :, None], 1, axis=2)
    capacity = np.stack([knapsack.capacity for knapsack in knapsacks])
    room = np.ascontiguousarray(np.moveaxis(capacity[:, None] - sizes[seeds], 2, 0))
    barred = None if apart is None else apart[seeds]
    rows = np.arange(len(knapsacks))
    for items in order.T:  # the next of each knapsack, in falling order of scores
        fits = alive & usable[rows, items][:, None]
        for free, size in zip(room, sizes[items].T, strict=True):
            fits &= free >= size[:, None]
        if barred is not None:
            fits &= ~barred[rows, :, items]
        row, seed = np.nonzero(fits)
        if len(row):
            _add_copies(counts, room, sizes, limits, (row, seed, items[row]))
            if barred is not None and apart is not None:
                barred[row, seed] |= apart[items[row]]
    place, seed = np.nonzero(alive)
    return place, counts[place, seed]


def _add_copies(
    counts: IntArray,
    room: IntArray,
    sizes: IntArray,
    limits: IntArray,
    chosen: tuple[IntArray, IntArray, IntArray],
) -> None:
    """Add all copies that fit of an item to each set: those of these rows, seeds and items."""
    row, seed, item = chosen
    copies = limits[row, item] - counts[chosen]
    for free, column in zip(room, sizes.T, strict=True):
        size = column[item]
        fit = free[row, seed] // np.maximum(size, 1)
        copies = np.where(size > 0, np.minimum(copies, fit), copies)
    counts[chosen] += copies
    for free, column in zip(room, sizes.T, strict=True):
        free[row, seed] -= copies * column[item]
