"""Column generation: the bound of the relaxed master over all patterns (Gilmore and Gomory 1961).

The restricted master gives each replica a worth; pricing finds sets that are worth more than a host
costs, which become columns, until there are none. Farley's bound holds at every step, so the search
ends as soon as it rounds up to the same cost. Worths are smoothed towards those of the best bound
so far, which keeps them from swinging (Wentges 1997).
"""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lab.planning.bound import farley_bound, round_up
from lab.planning.construction import RULES, carries_all, fill_hosts
from lab.planning.master import Master, Pool, Relaxed, Remaining
from lab.planning.pricing import Knapsack, search
from lab.planning.relaxation import Worths, surrogate
from lab.planning.seeding import grow_sets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.planning.bound import Bound
    from lab.planning.incumbent import Incumbent
    from lab.planning.instance import Filled, FloatArray, Instance, IntArray, Kind

FIRST_NODES = 250
LAST_NODES = 3_000_000
_SMOOTHING = 0.6
_FEW = 20  # the share of items, of which so many quick columns make a new master worth while
TOLERATED = 2e-4  # of the cost, which the bound may lack where that is more than a host
_LEFT_OUT = 3  # iterations for which quick columns are left out once they were few
_SCARCE = 4.0  # times the weight of a resource, where sets are grown that spare it
_LEAST_FALL = 0.005  # of the last cost, by which the master falls as long as quick columns do
_LEAST_GAIN = 0.01  # of the gap to the bound: the same, with so many kinds of host that pricing
_MANY_KINDS = 10  # takes much longer
PENALTY = 100.0  # times the highest price, for a replica that is left out
_EVERY = 4  # iterations between plans that are built by the present worths
_SHARE_OF_BUILDING = 0.02  # of the time left, which these plans may take together
_TOLERANCE = 1e-7
_MARGIN = 1e-6  # of the price, by which the worths of HiGHS may miss it


class Duals(NamedTuple):
    """The worth of a replica of each item, and the rent of a host of each kind."""

    values: FloatArray
    rents: FloatArray


class Priced(NamedTuple):
    """The columns that pricing found, and what it proved; nothing if time was over before."""

    columns: list[tuple[int, IntArray, float]]  # kind, counts, and what the set is worth
    uppers: FloatArray
    weights: FloatArray
    exhausted: bool
    proves: bool


def price(
    instance: Instance,
    remaining: Remaining,
    duals: Duals,
    thresholds: FloatArray,
    nodes: int,
    until: float,
    more: int = 0,
) -> Priced:
    """Return sets worth more than the thresholds, for each kind of host that is available.

    There is one for each item, the best, and so many more.
    """
    columns: list[tuple[int, IntArray, float]] = []
    uppers = np.zeros(len(instance.kinds))
    weights = np.ones((len(instance.kinds), instance.sizes.shape[1]))
    exhausted = True
    for place, kind in enumerate(instance.kinds):
        if remaining.available[place] < 1:
            continue
        if monotonic() > until:
            return Priced(columns, uppers, weights, exhausted=False, proves=False)
        knapsack = Knapsack.of(instance, kind, remaining.replicas)
        weights[place] = surrogate(knapsack, duals.values)
        found = search(
            knapsack,
            duals.values,
            weights[place],
            float(thresholds[place]),
            nodes=nodes,
            more=more,
            until=until,
        )
        uppers[place] = found.upper
        exhausted &= found.exhausted
        columns += [
            (place, counts, float(worth))
            for counts, worth in zip(found.counts, found.worth, strict=True)
        ]
    return Priced(columns, uppers, weights, exhausted, proves=True)


class _Effort:
    """The shares of quick columns and of exact pricing in the time.

    Quick columns are left out for some iterations once they were few. Exact pricing, which alone
    raises the bound, expands more nodes as long as it takes less time than all else.
    """

    def __init__(self, few: int) -> None:
        self.few = few
        self.nodes, self.smoothing = FIRST_NODES, _SMOOTHING
        self._left_out = 0
        self._end = monotonic()

    def is_for_quick_columns(self) -> bool:
        """Return True if this iteration looks for quick columns."""
        self._left_out -= 1
        return self._left_out < 0

    def found_quickly(self, number: int) -> None:
        """Take account of the number of quick columns."""
        self._left_out = 0 if number > self.few else _LEFT_OUT

    def measure(self, priced: Priced, begin: float) -> None:
        """Take account of exact pricing that has just ended."""
        end = monotonic()
        if not priced.exhausted and end - begin < begin - self._end:
            self.nodes = min(2 * self.nodes, LAST_NODES)
        self._end = end

    def goes_on(self, priced: Priced, added: int) -> bool:
        """Try harder if no column was added; return False if there is none."""
        if added:
            self.smoothing = _SMOOTHING
        elif self.smoothing:
            self.smoothing = 0.0
        elif priced.exhausted or self.nodes >= LAST_NODES:
            return False
        else:
            self.nodes *= 4
        return True


def generate(incumbent: Incumbent, pool: Pool, until: float, lacking: float = 0.0) -> None:
    """Add columns until the bound is that of all patterns, rounded up, or the time is over.

    With a packing, the bound may lack so much of the cost of the master. The incumbent's bound and
    packing improve on the way. Without a packing, replicas may be left out at a price.
    """
    instance = incumbent.instance
    everything = Remaining.most_of(instance)
    relaxed, iteration = None, 0
    stale, last_cost = True, inf
    effort = _Effort(len(instance.replicas) // _FEW)
    master, penalty = None, PENALTY * float(instance.prices.max())
    while monotonic() < until and not incumbent.is_optimal:
        if stale:
            if master is None:
                kept_out = None if incumbent.packing else penalty
                master = Master(instance, pool, everything, penalty=kept_out, free=True)
            solved = master.solve(until - monotonic())
            if solved is None:
                break
            relaxed, stale = solved, False
            incumbent.parts = solved.parts
            if incumbent.packing and iteration % _EVERY == 0:
                stale |= _build(incumbent, pool, relaxed)
            iteration += 1
        if relaxed is None or _is_closed(incumbent, relaxed, lacking):
            break
        duals = _smoothed(incumbent, relaxed, effort.smoothing)
        quick = 0
        if effort.is_for_quick_columns():
            quick = add_quickly(instance, pool, everything, relaxed, duals, incumbent.bound.weights)
            effort.found_quickly(quick)
        stale |= quick > 0
        falls = _falls(incumbent, last_cost, relaxed.cost)
        last_cost = relaxed.cost
        if falls and quick > effort.few:
            if _purge(instance, pool, relaxed):
                master = None
            continue
        thresholds = _thresholds(instance, duals, relaxed)
        begin = monotonic()
        priced = price(instance, everything, duals, thresholds, effort.nodes, until)
        if not priced.proves:
            break
        effort.measure(priced, begin)
        bound = farley_bound(instance, duals.values, priced.uppers, priced.weights)
        if bound.cost == inf:
            break
        incumbent.raise_bound(bound)
        added = quick + _add(instance, pool, priced, relaxed)
        stale |= added > 0
        if not effort.goes_on(priced, added):
            break
        if _purge(instance, pool, relaxed):
            master = None


def is_enough(incumbent: Incumbent, pool: Pool) -> Bound | None:
    """Add columns until a plan with fractions of hosts is possible; return None then.

    Return a bound of infinite cost if too few hosts are available. This is phase one.
    """
    instance = incumbent.instance
    everything = Remaining.most_of(instance)
    nodes = FIRST_NODES
    master = Master(instance, pool, everything, phase_one=True, free=True)
    while incumbent.seconds_left > 0:
        relaxed = master.solve(incumbent.seconds_left)
        if relaxed is None or relaxed.cost <= _TOLERANCE * float(instance.replicas.sum()):
            return None
        values = np.where(relaxed.values > _TOLERANCE, relaxed.values, 0.0)
        duals = Duals(values, relaxed.rents)
        weights = incumbent.bound.weights
        if add_quickly(instance, pool, everything, relaxed, duals, weights, free=True):
            continue
        thresholds = relaxed.rents + _TOLERANCE
        priced = price(instance, everything, duals, thresholds, nodes, incumbent.until)
        if not priced.proves:
            return None
        limited = np.isfinite(instance.available)
        uppers = np.where(limited | (priced.uppers > 2 * _TOLERANCE), priced.uppers, 0.0)
        bound = farley_bound(instance, values, uppers, priced.weights)
        if bound.cost == inf:
            return bound
        added = sum(pool.add(place, counts) for place, counts, _ in priced.columns)
        if not added:
            if priced.exhausted or nodes >= LAST_NODES:
                return None
            nodes *= 4
    return None


def _is_closed(incumbent: Incumbent, relaxed: Relaxed, lacking: float) -> bool:
    """Return True if the bound rounds up to the cost of the master, or nearly reaches it."""
    instance = incumbent.instance
    if incumbent.packing and relaxed.cost - incumbent.bound.cost <= lacking:
        return True
    if relaxed.cost - incumbent.bound.cost <= _tolerated(instance, relaxed.cost):
        return True
    return incumbent.bound.rounded(instance) >= round_up(instance, relaxed.cost)


def _tolerated(instance: Instance, cost: float) -> float:
    """Return what the bound may lack; nothing if it is less than a host, which may depend on it."""
    lacking = TOLERATED * cost
    return lacking if lacking >= instance.prices.min() else 0.0


def _falls(incumbent: Incumbent, last_cost: float, cost: float) -> bool:
    """Return True if the cost of the master falls so fast that quick columns are enough."""
    if last_cost == inf:
        return True
    least = _LEAST_FALL * last_cost
    if len(incumbent.instance.kinds) >= _MANY_KINDS:
        least = min(least, _LEAST_GAIN * (last_cost - incumbent.bound.cost))
    return last_cost - cost > least


def _smoothed(incumbent: Incumbent, relaxed: Relaxed, smoothing: float) -> Duals:
    """Return worths between those of the master and those of the best bound."""
    bound = incumbent.bound
    if not smoothing or not bound.cost:
        return Duals(relaxed.values, relaxed.rents)
    rents = bound.rents(incumbent.instance)
    return Duals(
        smoothing * bound.scale * bound.values + (1 - smoothing) * relaxed.values,
        smoothing * rents + (1 - smoothing) * relaxed.rents,
    )


def _thresholds(instance: Instance, duals: Duals, relaxed: Relaxed) -> FloatArray:
    """Return what a set must be worth on a host of each kind to be of use.

    That is the price and the rent; but if worths that are scaled down still prove what is wanted,
    sets that are then worth no more than the price are of no use.
    """
    limited = np.isfinite(instance.available)
    worth = instance.worth(duals.values)
    worth -= float(instance.available[limited] @ duals.rents[limited])
    rounded = round_up(instance, relaxed.cost) - instance.price_step
    wanted = min(rounded, relaxed.cost - _tolerated(instance, relaxed.cost))
    wanted_worth = wanted + 0.01 * max(0.0, worth - wanted) + _TOLERANCE * instance.price_step
    ratio = max(1.0, worth / wanted_worth) if wanted > 0 else 1.0
    return np.asarray(ratio * instance.prices + duals.rents, dtype=np.float64) * (1 + _MARGIN)


def _add(instance: Instance, pool: Pool, priced: Priced, relaxed: Relaxed) -> int:
    """Add the columns that lower the cost of the master; return their number."""
    added = 0
    for place, counts, _ in priced.columns:
        paid = instance.kinds[place].price + relaxed.rents[place]
        if float(relaxed.values @ counts) > paid * (1 + _TOLERANCE):
            added += pool.add(place, counts)
    return added


def add_quickly(
    instance: Instance,
    pool: Pool,
    remaining: Remaining,
    relaxed: Relaxed,
    duals: Duals,
    weights: FloatArray,
    *,
    free: bool = False,
) -> int:
    """Add columns that are found quickly and lower the cost of the master; return their number.

    With `free`, hosts cost nothing but their rent.
    """
    places = np.flatnonzero(remaining.available >= 1)
    if not len(places):
        return 0
    kinds = [instance.kinds[place] for place in places.tolist()]
    knapsacks = [Knapsack.of(instance, kind, remaining.replicas) for kind in kinds]
    paid = (0.0 if free else instance.prices[places]) + relaxed.rents[places]
    least = paid * (1 + _TOLERANCE) + _TOLERANCE * free
    found: list[tuple[float, int, IntArray]] = []
    for scores in _scores(kinds, duals.values, weights[places]):
        for rows, sets in grow_sets(knapsacks, duals.values, scores):
            gains = sets @ relaxed.values - least[rows]
            found += [
                (float(gains[line]), int(places[rows[line]]), sets[line])
                for line in np.flatnonzero(gains > 0)
            ]
        if len(found) > len(places) * (len(duals.values) // _FEW):
            break
    found.sort(key=lambda each: -each[0])
    return sum(pool.add(place, counts) for _, place, counts in found[: len(instance.replicas)])


def _scores(kinds: list[Kind], values: FloatArray, weights: FloatArray) -> Iterator[FloatArray]:
    """Yield scores of the items on each kind of host: worth per weight, worth, then with one
    resource that is scarce.
    """

    def per_weight(weights: FloatArray) -> FloatArray:
        widths = [kind.shares @ row for kind, row in zip(kinds, weights, strict=True)]
        return np.asarray(values / np.maximum(widths, 1e-12), dtype=np.float64)

    yield per_weight(weights)
    yield np.repeat(values[None], len(kinds), axis=0)
    for resource in range(weights.shape[1]):
        scarce = weights + 1e-3 * weights.sum(axis=1, keepdims=True)
        scarce[:, resource] *= _SCARCE
        yield per_weight(scarce)


def _build(incumbent: Incumbent, pool: Pool, relaxed: Relaxed) -> bool:
    """Build plans by the present worths; return True if they have new columns."""
    worths = Worths(relaxed.values, incumbent.bound.weights)
    new = False
    until = monotonic() + _SHARE_OF_BUILDING * incumbent.seconds_left
    for rule in (RULES[0], RULES[-1]):
        remaining = Remaining.all_of(incumbent.instance)
        packing = fill_hosts(incumbent.instance, worths, rule, remaining, until)
        if carries_all(packing, remaining):
            incumbent.offer(packing)
        new |= add_packing(pool, packing)
    return new


def add_packing(pool: Pool, packing: list[Filled] | None) -> bool:
    """Add the patterns of a packing; return True if one is new."""
    added = [pool.add(filled.kind, filled.counts) for filled in packing or ()]
    return any(added)


def _purge(instance: Instance, pool: Pool, relaxed: Relaxed) -> bool:
    """Forget columns that cost most in the last master, if there are very many: True if so."""
    most = 3 * len(instance.replicas) + 1_000
    if len(pool) <= 2 * most:
        return False
    known = len(relaxed.times)
    loss = np.array(
        [
            instance.kinds[kind].price
            + relaxed.rents[kind]
            - float(relaxed.values[places] @ counts)
            for kind, places, counts in zip(
                pool.kinds[:known], pool.places[:known], pool.counts[:known], strict=True
            )
        ]
    )
    loss[relaxed.times > 0] = -inf
    kept = np.argsort(loss, kind="stable")[:most]
    pool.keep(np.concatenate((kept, np.arange(known, len(pool)))))
    return True
