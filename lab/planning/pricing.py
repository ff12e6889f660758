"""Pricing: the sets of replicas on one host that are worth most, a bounded vector knapsack.

Branch and bound takes the items in the order of worth per weight, where the weight is a surrogate:
a weighted sum of the resources. A branch adds as many copies of a later item as fit; its sibling
has one copy less. Dantzig's bound on the surrogate, and on each resource alone, says what a branch
is worth at most (Martello and Toth 1990). Nodes are expanded hundreds at a time, best first.

If the search is stopped early, the bounds of the open nodes still prove how much any set is worth.
With a single resource of few distinct amounts, dynamic programming proves it (Gilmore and Gomory
1961).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, inf
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from lab.planning.instance import BoolArray, FloatArray, Instance, IntArray, Kind

_WIDTH = 512  # nodes that are expanded at a time, at most
_PORTIONS = 64  # of the nodes to expand, so that a short search reaches full sets too
_GREED = 0.5  # how far the best set found so far raises the worth that is looked for in others
_TABLE = 30_000_000  # cells of a table of dynamic programming
_HELD = 1_000_000  # open nodes that are held in memory
_CELLS = 8_000_000  # counts of sets that are held in memory


@dataclass(frozen=True, slots=True)
class Knapsack:
    """One host: its capacity, and the most copies of each item that it may carry.

    `shares` has the sizes as shares of the capacity; `apart` the pairs that exclude each other.
    """

    sizes: IntArray
    capacity: IntArray
    limits: IntArray
    shares: FloatArray
    apart: BoolArray | None

    @classmethod
    def of(cls, instance: Instance, kind: Kind, residual: IntArray) -> Knapsack:
        """Return the knapsack of a host of that kind, for the replicas that are left."""
        limits = np.minimum(kind.limits, residual)
        return cls(instance.sizes, kind.capacity, limits, kind.shares, instance.apart)


class Found(NamedTuple):
    """Sets that are worth more than was asked for, and a bound on what any set is worth."""

    counts: IntArray
    worth: FloatArray
    upper: float
    exhausted: bool


class _Nodes(NamedTuple):
    """Nodes of the same depth; each is a feasible set: items in rising order, and their counts."""

    worth: FloatArray
    bound: FloatArray
    left: FloatArray  # of the surrogate's capacity
    room: IntArray
    items: IntArray
    counts: IntArray
    barred: BoolArray | None

    def take(self, chosen: BoolArray | IntArray) -> _Nodes:
        """Return some of the nodes."""
        return _Nodes(
            self.worth[chosen],
            self.bound[chosen],
            self.left[chosen],
            self.room[chosen],
            self.items[chosen],
            self.counts[chosen],
            None if self.barred is None else self.barred[chosen],
        )


class _Dantzig:
    """The most that items from a place on are worth in so much room of one constraint."""

    def __init__(self, worths: FloatArray, widths: FloatArray) -> None:
        self.worths = np.concatenate(([0.0], np.cumsum(worths)))
        self.widths = np.concatenate(([0.0], np.cumsum(widths)))

    def most(self, places: IntArray, left: FloatArray) -> FloatArray:
        """Return the bound: items are in falling order of worth per width, the last is cut."""
        reach = np.interp(self.widths[places] + left, self.widths, self.worths)
        return np.asarray(reach - self.worths[places], dtype=np.float64)


class _Tree:
    """The items of a knapsack in the order in which branches take them."""

    def __init__(self, knapsack: Knapsack, values: FloatArray, weights: FloatArray) -> None:
        usable = np.flatnonzero((values > 0) & (knapsack.limits > 0))
        widths = knapsack.shares[usable] @ weights
        self.order = usable[_by_density(values[usable], widths)]
        self.values = values[self.order]
        self.limits = knapsack.limits[self.order]
        self.sizes = knapsack.sizes[self.order]
        self.widths = knapsack.shares[self.order] @ weights
        self.capacity = knapsack.capacity
        self.weight = float(weights.sum())
        self.single = bool((self.limits == 1).all())
        self.table = _Dantzig(self.values * self.limits, self.widths * self.limits)
        self.by_resource = []
        for shares in knapsack.shares[self.order].T:
            order = _by_density(self.values, shares)
            totals = self.limits[order] * self.values[order], self.limits[order] * shares[order]
            self.by_resource.append(_Dantzig(*totals))
        self.apart = None
        if knapsack.apart is not None and knapsack.apart[np.ix_(self.order, self.order)].any():
            self.apart = knapsack.apart[np.ix_(self.order, self.order)]

    def root(self) -> _Nodes:
        """Return the empty set."""
        left = np.array([self.weight])
        nothing = np.zeros((1, 0), dtype=np.int64)
        barred = None if self.apart is None else np.zeros((1, len(self.order)), dtype=np.bool_)
        bound = self.table.most(np.zeros(1, dtype=np.int64), left)
        room = self.capacity[None].copy()
        return _Nodes(np.zeros(1), bound, left, room, nothing, nothing, barred)

    def siblings(self, nodes: _Nodes, cutoff: float) -> _Nodes:
        """Return the nodes with one copy less of their last item.

        The surrogate's bound falls with each copy less, so that one sibling stands for the others.
        """
        if self.single or not nodes.items.shape[1]:
            return nodes.take(np.zeros(0, dtype=np.int64))
        nodes = nodes.take(nodes.counts[:, -1] > 1)
        last = nodes.items[:, -1]
        counts = nodes.counts.copy()
        counts[:, -1] -= 1
        worth = nodes.worth - self.values[last]
        left = nodes.left + self.widths[last]
        bound = worth + self.table.most(last + 1, left)
        room = nodes.room + self.sizes[last]
        fewer = _Nodes(worth, bound, left, room, nodes.items, counts, nodes.barred)
        return fewer.take(bound > cutoff)

    def promising(self, nodes: _Nodes, cutoff: float) -> _Nodes:
        """Return the nodes that may be worth more than the cut-off by each resource alone."""
        places = np.zeros(len(nodes.worth), dtype=np.int64)
        bound = nodes.bound
        for place, table in enumerate(self.by_resource):
            left = nodes.room[:, place] / max(1, int(self.capacity[place]))
            bound = np.minimum(bound, nodes.worth + table.most(places, left))
        return nodes.take(bound > cutoff)

    def children(self, nodes: _Nodes, cutoff: float) -> _Nodes:
        """Return the nodes with as many copies as fit of one item more."""
        number, depth = nodes.items.shape
        if not number:
            return nodes
        last = nodes.items[:, -1] if depth else np.full(number, -1, dtype=np.int64)
        first = int(last.min()) + 1
        fits = np.arange(first, len(self.order)) > last[:, None]
        for place, sizes in enumerate(self.sizes[first:].T):
            fits &= sizes <= nodes.room[:, place, None]
        if nodes.barred is not None:
            fits &= ~nodes.barred[:, first:]
        parent, item = np.nonzero(fits)
        item = item + first
        copies = self._copies(nodes, parent, item)
        left = nodes.left[parent] - copies * self.widths[item]
        worth = nodes.worth[parent] + copies * self.values[item]
        bound = worth + self.table.most(item + 1, np.maximum(left, 0.0))
        kept = bound > cutoff
        parent, item, copies = parent[kept], item[kept], copies[kept]
        barred = None
        if nodes.barred is not None and self.apart is not None:
            barred = nodes.barred[parent] | self.apart[item]
        return _Nodes(
            worth[kept],
            bound[kept],
            left[kept],
            nodes.room[parent] - copies[:, None] * self.sizes[item],
            np.concatenate((nodes.items[parent], item[:, None]), axis=1),
            np.concatenate((nodes.counts[parent], copies[:, None]), axis=1),
            barred,
        )

    def _copies(self, nodes: _Nodes, parent: IntArray, item: IntArray) -> IntArray:
        copies = self.limits[item]
        if not self.single:
            for place, sizes in enumerate(self.sizes.T):
                size = sizes[item]
                room = nodes.room[parent, place] // np.maximum(size, 1)
                copies = np.where(size > 0, np.minimum(copies, room), copies)
        return copies


class _Harvest:
    """The sets found that are worth more than a threshold: the best for each item, and some more.

    With `every`, all of them, as long as memory allows.
    """

    def __init__(
        self, tree: _Tree, threshold: float, items: int, more: int, *, every: bool
    ) -> None:
        self.order, self.threshold, self.every = tree.order, threshold, every
        self.most = items + more
        self.more = more
        self.counts = np.zeros((0, items), dtype=np.int64)
        self.worth = np.zeros(0)
        self.dropped = False
        self._parts: list[IntArray] = []
        self._worths: list[FloatArray] = []
        self._rows = 0

    def add(self, nodes: _Nodes) -> None:
        """Keep the best of the sets."""
        rows = np.flatnonzero(nodes.worth > self.threshold)
        if not self.every and len(rows) > self.most:
            rows = rows[np.argsort(-nodes.worth[rows], kind="stable")[: self.most]]
        if not len(rows):
            return
        items = self.counts.shape[1]
        if self.every and (self._rows + len(rows)) * items > _CELLS:
            self.dropped = True
            return
        counts = np.zeros((len(rows), items), dtype=np.int64)
        counts[np.arange(len(rows))[:, None], self.order[nodes.items[rows]]] = nodes.counts[rows]
        self.put(counts, nodes.worth[rows])
        if not self.every and self._rows > 4 * self.most:
            self.reduce()

    def put(self, counts: IntArray, worth: FloatArray) -> None:
        """Keep these sets."""
        self._parts.append(counts)
        self._worths.append(worth)
        self._rows += len(worth)

    def reduce(self) -> None:
        """Keep the best set of each item and so many more, the best first."""
        self.counts = np.concatenate([self.counts, *self._parts])
        self.worth = np.concatenate([self.worth, *self._worths])
        order = np.argsort(-self.worth, kind="stable")
        if not self.every and len(order):
            of_item = np.where(self.counts > 0, self.worth[:, None], -np.inf)
            best = of_item.argmax(axis=0)[of_item.max(axis=0) > -np.inf]
            kept = np.zeros(len(order), dtype=np.bool_)
            kept[best] = True
            kept[order[: self.more]] = True
            order = order[kept[order]]
        self.counts, self.worth = self.counts[order], self.worth[order]
        self._parts, self._worths, self._rows = [], [], len(order)


def search(
    knapsack: Knapsack,
    values: FloatArray,
    weights: FloatArray,
    threshold: float,
    *,
    nodes: int,
    more: int = 0,
    every: bool = False,
    until: float = inf,
) -> Found:
    """Look for sets worth more than the threshold, expanding about so many nodes.

    The best of each item is returned, and so many more; with `every`, all are looked for. The
    search ends at the time `until` by the monotonic clock at the latest. `upper` is what any set is
    worth at most, and at least the threshold. `weights` of the resources make the surrogate: any
    that are not negative are valid.
    """
    items = len(values)
    tree = _Tree(knapsack, values, weights)
    harvest = _Harvest(tree, threshold, items, more, every=every)
    if not len(tree.order):
        return Found(harvest.counts, harvest.worth, max(threshold, 0.0), exhausted=True)
    stack = [tree.root()]
    best = cutoff = threshold
    width = max(8, min(_WIDTH, nodes // _PORTIONS))
    greed = 0.0 if every else _GREED if tree.single else 1.0
    expanded, held = 0, 1
    while stack and expanded < nodes and held < _HELD and not harvest.dropped:
        if monotonic() > until:
            break
        chunk = stack.pop()
        held -= len(chunk.worth)
        chunk = chunk.take(chunk.bound > cutoff)
        if not len(chunk.worth):
            continue
        expanded += len(chunk.worth)
        siblings = tree.siblings(chunk, cutoff)
        harvest.add(siblings)
        held += _push(stack, siblings, width)
        children = tree.children(tree.promising(chunk, cutoff), cutoff)
        if len(children.worth):
            best = max(best, float(children.worth.max()))
            cutoff = threshold + greed * (best - threshold)
            harvest.add(children)
            held += _push(stack, children, width)
    upper = max([best, *(float(chunk.bound.max()) for chunk in stack)])
    if upper > best and not every and _has_small_table(tree):
        counts, worth = _by_dynamic_programming(tree, items)
        upper = max(worth, threshold)
        if worth > threshold:
            harvest.put(counts[None], np.array([worth]))
        stack = []
    harvest.reduce()
    exhausted = not harvest.dropped and not any((chunk.bound > cutoff).any() for chunk in stack)
    return Found(harvest.counts, harvest.worth, upper, exhausted)


def _push(stack: list[_Nodes], nodes: _Nodes, width: int) -> int:
    """Push the nodes in portions, the best on top; return their number."""
    order = np.argsort(-nodes.bound, kind="stable")
    for begin in reversed(range(0, len(order), width)):
        stack.append(nodes.take(order[begin : begin + width]))
    return len(order)


def _by_density(values: FloatArray, widths: FloatArray) -> IntArray:
    """Return the places in falling order of worth per width; those without width come first."""
    density = np.full(len(values), np.inf)
    np.divide(values, widths, out=density, where=widths > 0)
    return np.argsort(-density, kind="stable")


def _has_small_table(tree: _Tree) -> bool:
    if len(tree.capacity) != 1 or tree.apart is not None or not tree.sizes.all():
        return False
    step = gcd(*map(int, tree.sizes[:, 0]))
    parts = sum(int(limit).bit_length() for limit in tree.limits)
    return parts * (int(tree.capacity[0]) // step + 1) <= _TABLE


def _by_dynamic_programming(tree: _Tree, items: int) -> tuple[IntArray, float]:
    """Return the set that is worth most, and its worth, with a single resource."""
    step = gcd(*map(int, tree.sizes[:, 0]))
    capacity = int(tree.capacity[0]) // step
    best = np.zeros(capacity + 1)
    parts: list[tuple[int, int, int, BoolArray]] = []
    for place, limit in enumerate(tree.limits):
        rest, copies = int(limit), 1
        while rest:  # any number up to the limit is a sum of some of these parts
            copies = min(copies, rest)
            size = copies * int(tree.sizes[place, 0]) // step
            if size > capacity:
                break
            more = best[: capacity + 1 - size] + copies * tree.values[place]
            better = more > best[size:]
            best[size:][better] = more[better]
            parts.append((place, copies, size, better))
            rest -= copies
            copies *= 2
    counts = np.zeros(items, dtype=np.int64)
    room = capacity
    for place, copies, size, better in reversed(parts):
        if room >= size and better[room - size]:
            counts[tree.order[place]] += copies
            room -= size
    return counts, float(best[capacity])
