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
from lab.planning.construction import RULES, construct
from lab.planning.master import Pool, Relaxed, Remaining, relax
from lab.planning.pricing import Knapsack, search
from lab.planning.relaxation import Worths, surrogate
from lab.planning.seeding import grow_sets

if TYPE_CHECKING:
    from lab.planning.bound import Bound
    from lab.planning.incumbent import Incumbent
    from lab.planning.instance import Filled, FloatArray, Instance, IntArray

FIRST_NODES = 2_000
LAST_NODES = 3_000_000
_SMOOTHING = 0.5
_FEW = 20  # the share of items, of which so many quick columns make a new master worth while
TOLERATED = 2e-4  # of the cost, which the bound may lack where that is more than a host
_FALL = 0.995  # of the last cost of the master, below which quick columns are enough
PENALTY = 100.0  # times the highest price, for a replica that is left out
_EVERY = 10  # iterations between plans that are built by the present worths
_TOLERANCE = 1e-7
_MARGIN = 1e-6  # of the price, by which the worths of HiGHS may miss it


class Duals(NamedTuple):
    """The worth of a replica of each item, and the rent of a host of each kind."""

    values: FloatArray
    rents: FloatArray


class Priced(NamedTuple):
    """The columns that pricing found, and what it proved."""

    columns: list[tuple[int, IntArray, float]]  # kind, counts, and what the set is worth
    uppers: FloatArray
    weights: FloatArray
    exhausted: bool


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
    return Priced(columns, uppers, weights, exhausted)


def generate(incumbent: Incumbent, pool: Pool, until: float) -> None:
    """Add columns until the bound is that of all patterns, rounded up, or the time is over.

    The incumbent's bound and packing improve on the way. Without a packing, replicas may be left
    out at a price.
    """
    instance = incumbent.instance
    everything = Remaining.all_of(instance)
    relaxed, nodes, iteration, smoothing = None, FIRST_NODES, 0, _SMOOTHING
    stale, last_cost = True, inf
    while monotonic() < until and not incumbent.is_optimal:
        if stale:
            penalty = None if incumbent.packing else PENALTY * float(instance.prices.max())
            solved = relax(instance, pool, everything, until - monotonic(), penalty=penalty)
            if solved is None:
                break
            relaxed, stale = solved, False
            if incumbent.packing and iteration % _EVERY == 0:
                stale |= _build(incumbent, pool, relaxed)
            iteration += 1
        if relaxed is None or _is_closed(incumbent, relaxed):
            break
        duals = _smoothed(incumbent, relaxed, smoothing)
        quick = add_quickly(instance, pool, everything, relaxed, duals, incumbent.bound.weights)
        stale |= quick > 0
        falls = relaxed.cost < _FALL * last_cost
        last_cost = relaxed.cost
        if falls and quick > len(instance.replicas) // _FEW:
            _purge(instance, pool, relaxed)
            continue
        thresholds = _thresholds(instance, duals, relaxed)
        priced = price(instance, everything, duals, thresholds, nodes, until)
        bound = farley_bound(instance, duals.values, priced.uppers, priced.weights)
        if bound.cost == inf:
            break
        incumbent.raise_bound(bound)
        added = quick + _add(instance, pool, priced, relaxed)
        stale |= added > 0
        if added:
            smoothing = _SMOOTHING
        elif smoothing:
            smoothing = 0.0
        elif priced.exhausted or nodes >= LAST_NODES:
            break
        else:
            nodes *= 4
        _purge(instance, pool, relaxed)


def is_enough(incumbent: Incumbent, pool: Pool) -> Bound | None:
    """Add columns until a plan with fractions of hosts is possible; return None then.

    Return a bound of infinite cost if too few hosts are available. This is phase one.
    """
    instance = incumbent.instance
    everything = Remaining.all_of(instance)
    nodes = FIRST_NODES
    while incumbent.seconds_left > 0:
        relaxed = relax(instance, pool, everything, incumbent.seconds_left, phase_one=True)
        if relaxed is None or relaxed.cost <= _TOLERANCE * float(instance.replicas.sum()):
            return None
        values = np.where(relaxed.values > _TOLERANCE, relaxed.values, 0.0)
        duals = Duals(values, relaxed.rents)
        weights = incumbent.bound.weights
        if add_quickly(instance, pool, everything, relaxed, duals, weights, free=True):
            continue
        thresholds = relaxed.rents + _TOLERANCE
        priced = price(instance, everything, duals, thresholds, nodes, incumbent.until)
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


def _is_closed(incumbent: Incumbent, relaxed: Relaxed) -> bool:
    """Return True if the bound rounds up to the cost of the master, or nearly reaches it."""
    instance = incumbent.instance
    if incumbent.bound.cost >= (1 - TOLERATED) * relaxed.cost:
        return True
    return incumbent.bound.rounded(instance) >= round_up(instance, relaxed.cost)


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
    worth = float(duals.values @ instance.replicas)
    worth -= float(instance.available[limited] @ duals.rents[limited])
    rounded = round_up(instance, relaxed.cost) - instance.price_step
    wanted = min(rounded, (1 - TOLERATED) * relaxed.cost)
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
    found: list[tuple[float, int, IntArray]] = []
    for place, kind in enumerate(instance.kinds):
        if remaining.available[place] < 1:
            continue
        knapsack = Knapsack.of(instance, kind, remaining.replicas)
        widths = np.maximum(kind.shares @ weights[place], 1e-12)
        paid = (0.0 if free else kind.price) + relaxed.rents[place]
        for scores in (duals.values / widths, duals.values):
            sets = grow_sets(knapsack, duals.values, scores)
            gains = sets @ relaxed.values - paid * (1 + _TOLERANCE) - _TOLERANCE * free
            found += [(float(gains[row]), place, sets[row]) for row in np.flatnonzero(gains > 0)]
    found.sort(key=lambda each: -each[0])
    return sum(pool.add(place, counts) for _, place, counts in found[: len(instance.replicas)])


def _build(incumbent: Incumbent, pool: Pool, relaxed: Relaxed) -> bool:
    """Build plans by the present worths; return True if they have new columns."""
    worths = Worths(relaxed.values, incumbent.bound.weights)
    new = False
    for rule in (RULES[0], RULES[-1]):
        remaining = Remaining.all_of(incumbent.instance)
        packing = construct(incumbent.instance, worths, rule, remaining, incumbent.until)
        incumbent.offer(packing)
        new |= add_packing(pool, packing)
    return new


def add_packing(pool: Pool, packing: list[Filled] | None) -> bool:
    """Add the patterns of a packing; return True if one is new."""
    added = [pool.add(filled.kind, filled.counts) for filled in packing or ()]
    return any(added)


def _purge(instance: Instance, pool: Pool, relaxed: Relaxed) -> None:
    """Forget columns that cost most in the last master, if there are very many."""
    most = 3 * len(instance.replicas) + 1_000
    if len(pool) <= 2 * most:
        return
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
