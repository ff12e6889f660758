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
    """Nodes: each is a feasible set, that of an expanded node (`above`) with copies of an item."""

    worth: FloatArray
    bound: FloatArray
    left: FloatArray  # of the surrogate's capacity
    room: IntArray
    item: IntArray
    copies: IntArray
    above: IntArray
    barred: BoolArray | None

    def take(self, chosen: BoolArray | IntArray | slice) -> _Nodes:
        """Return some of the nodes."""
        return _Nodes(
            self.worth[chosen],
            self.bound[chosen],
            self.left[chosen],
            self.room[chosen],
            self.item[chosen],
            self.copies[chosen],
            self.above[chosen],
            None if self.barred is None else self.barred[chosen],
        )


def _joined(parts: list[_Nodes]) -> _Nodes:
    """Return the nodes of all parts."""
    if len(parts) == 1:
        return parts[0]
    barred = [part.barred for part in parts if part.barred is not None]
    return _Nodes(
        np.concatenate([part.worth for part in parts]),
        np.concatenate([part.bound for part in parts]),
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.room for part in parts]),
        np.concatenate([part.item for part in parts]),
        np.concatenate([part.copies for part in parts]),
        np.concatenate([part.above for part in parts]),
        np.concatenate(barred) if barred else None,
    )


class _Expanded:
    """The nodes that were expanded, by number: the sets of others are told from them."""

    def __init__(self) -> None:
        self._parts: list[tuple[IntArray, IntArray, IntArray]] = []
        self._number = 0

    def add(self, nodes: _Nodes) -> IntArray:
        """Keep nodes, and return their numbers."""
        self._parts.append((nodes.item, nodes.copies, nodes.above))
        self._number += len(nodes.item)
        return np.arange(self._number - len(nodes.item), self._number)

    def sets(self, nodes: _Nodes, order: IntArray, items: int) -> IntArray:
        """Return the counts of each item in the sets of some nodes."""
        known = [np.concatenate(part) for part in zip(*self._parts, strict=True)]
        counts = np.zeros((len(nodes.item), items), dtype=np.int64)
        rows = np.arange(len(nodes.item))
        item, copies, above = nodes.item, nodes.copies, nodes.above
        while len(rows):
            counts[rows, order[item]] = copies
            item, copies, above = (part[above] for part in known)
            inner = item >= 0
            rows, item, copies, above = rows[inner], item[inner], copies[inner], above[inner]
        return counts


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
        zero, none = np.zeros(1, dtype=np.int64), np.full(1, -1, dtype=np.int64)
        left = np.array([self.weight])
        barred = None if self.apart is None else np.zeros((1, len(self.order)), dtype=np.bool_)
        bound = self.table.most(zero, left)
        return _Nodes(np.zeros(1), bound, left, self.capacity[None], none, zero, none, barred)

    def siblings(self, nodes: _Nodes, cutoff: float) -> _Nodes:
        """Return the nodes with one copy less of their last item.

        The surrogate's bound falls with each copy less, so that one sibling stands for the others.
        """
        if self.single:
            return nodes.take(np.zeros(0, dtype=np.int64))
        nodes = nodes.take(nodes.copies > 1)
        worth = nodes.worth - self.values[nodes.item]
        left = nodes.left + self.widths[nodes.item]
        bound = worth + self.table.most(nodes.item + 1, left)
        fewer = nodes._replace(
            worth=worth,
            bound=bound,
            left=left,
            room=nodes.room + self.sizes[nodes.item],
            copies=nodes.copies - 1,
        )
        return fewer.take(bound > cutoff)

    def promising(self, nodes: _Nodes, cutoff: float) -> _Nodes:
        """Return the nodes that may be worth more than the cut-off by each resource alone."""
        places = np.zeros(len(nodes.worth), dtype=np.int64)
        bound = nodes.bound
        for place, table in enumerate(self.by_resource):
            left = nodes.room[:, place] / max(1, int(self.capacity[place]))
            bound = np.minimum(bound, nodes.worth + table.most(places, left))
        return nodes.take(bound > cutoff)

    def children(self, nodes: _Nodes, numbers: IntArray, cutoff: float) -> _Nodes:
        """Return the nodes, numbered so, with as many copies as fit of one item more."""
        if not len(nodes.item):
            return nodes
        first = int(nodes.item.min()) + 1
        fits = np.arange(first, len(self.order)) > nodes.item[:, None]
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
        room = nodes.room[parent] - copies[:, None] * self.sizes[item]
        return _Nodes(
            worth[kept], bound[kept], left[kept], room, item, copies, numbers[parent], barred
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
    """The sets found that are worth more than a threshold; with `every`, all that memory holds."""

    def __init__(self, threshold: float, items: int, more: int, *, every: bool) -> None:
        self.threshold, self.items, self.more, self.every = threshold, items, more, every
        self.most = _CELLS // max(1, items) if every else 4 * (items + more)
        self.dropped = False
        self._parts: list[_Nodes] = []
        self._rows = 0

    def add(self, nodes: _Nodes) -> None:
        """Keep the sets above the threshold, those of the highest worth if they are many."""
        found = nodes.take(nodes.worth > self.threshold)
        if not len(found.worth):
            return
        self._parts.append(found)
        self._rows += len(found.worth)
        if self.every:
            self.dropped = self._rows > self.most
        elif self._rows > 4 * self.most:
            whole = _joined(self._parts)
            best = np.argsort(-whole.worth, kind="stable")[: self.most]
            self._parts, self._rows = [whole.take(best)], self.most

    def sets(self, expanded: _Expanded, order: IntArray) -> tuple[IntArray, FloatArray]:
        """Return counts and worths: the best set of each item and so many more, the best first."""
        if not self._parts:
            return np.zeros((0, self.items), dtype=np.int64), np.zeros(0)
        whole = _joined(self._parts)
        whole = whole.take(np.argsort(-whole.worth, kind="stable")[: self.most])
        counts, worth = expanded.sets(whole, order, self.items), whole.worth
        if self.every:
            return counts, worth
        kept = np.zeros(len(worth), dtype=np.bool_)
        held = counts > 0  # the first set that holds an item is the best
        kept[held.argmax(axis=0)[held.any(axis=0)]] = True
        kept[: self.more] = True
        return counts[kept], worth[kept]


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
    tree, expanded = _Tree(knapsack, values, weights), _Expanded()
    harvest = _Harvest(threshold, items, more, every=every)
    if not len(tree.order):
        return Found(np.zeros((0, items), np.int64), np.zeros(0), max(threshold, 0.0), True)
    stack = [tree.root()]
    best = cutoff = threshold
    width = max(8, min(_WIDTH, nodes // _PORTIONS))
    greed = 0.0 if every else _GREED if tree.single else 1.0
    done, held = 0, 1
    while stack and done < nodes and held < _HELD and not harvest.dropped:
        if monotonic() > until:
            break
        chunk = _pop(stack, width)
        held -= len(chunk.worth)
        chunk = chunk.take(chunk.bound > cutoff)
        done += len(chunk.worth)
        siblings = tree.siblings(chunk, cutoff)
        parents = tree.promising(chunk, cutoff)
        children = tree.children(parents, expanded.add(parents), cutoff)
        found = _joined([siblings, children])
        if len(found.worth):
            best = max(best, float(found.worth.max()))
            cutoff = threshold + greed * (best - threshold)
            harvest.add(found)
            held += _push(stack, found, width)
    upper = max([best, *(float(chunk.bound.max()) for chunk in stack)])
    counts, worth = harvest.sets(expanded, tree.order)
    if upper > best and not every and _has_small_table(tree):
        proven, most = _by_dynamic_programming(tree, items)
        upper, stack = max(most, threshold), []
        if most > threshold:
            counts, worth = np.concatenate((proven[None], counts)), np.append(most, worth)
    exhausted = not harvest.dropped and not any((chunk.bound > cutoff).any() for chunk in stack)
    return Found(counts, worth, upper, exhausted)


def _pop(stack: list[_Nodes], width: int) -> _Nodes:
    """Return about so many nodes from the top of the stack."""
    parts = [stack.pop()]
    number = len(parts[0].worth)
    while stack and number + len(stack[-1].worth) <= width:
        parts.append(stack.pop())
        number += len(parts[-1].worth)
    return _joined(parts)


def _push(stack: list[_Nodes], nodes: _Nodes, width: int) -> int:
    """Push the nodes in portions, the best on top; return their number."""
    ordered = nodes.take(np.argsort(-nodes.bound, kind="stable"))
    for begin in reversed(range(0, len(ordered.bound), width)):
        stack.append(ordered.take(slice(begin, begin + width)))
    return len(ordered.bound)


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
