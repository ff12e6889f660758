"""Whole hosts from a relaxed master, by diving, and by integer programs over the columns.

A dive fixes what is nearly whole and solves the rest again: columns are cut to what is left, and
new ones are priced for it if the cost has risen. Once little is left, HiGHS solves the master of
the rest as an integer program.

A set can be in a cheaper plan only if its worth lacks less than the gap to the host's price
(reduced cost fixing, Baldacci and others 2008). If those sets are few, the integer program over all
of them decides whether there is a cheaper plan at all.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lab.planning.bound import round_up
from lab.planning.column_generation import PENALTY, TOLERATED, Duals, add_quickly, price
from lab.planning.construction import RULES, construct
from lab.planning.instance import Filled
from lab.planning.master import Master, Pool, Relaxed, Remaining, fill_whole
from lab.planning.pricing import Knapsack, search
from lab.planning.relaxation import Worths

if TYPE_CHECKING:
    from lab.planning.incumbent import Incumbent
    from lab.planning.instance import Instance, IntArray

_NODES = 3_000
_ROUNDS = 1  # of pricing after each step of a dive, at most
_LITTLE = 40  # items left, at which the rest becomes an integer program
_LITTLE_SECONDS = 2.0
_LITTLE_SHARE = 0.1  # of the time left, which that program may take
_LITTLE_NODES = 6_000
_LITTLE_MORE = 400  # columns for that program, which may lack _LACKING of the price
_LITTLE_COLUMNS = 1_000  # of that program
_LACKING = 0.15
_LATE_SECONDS = 0.2  # that a dive which the deadline ends may take to place what remains
_NEARLY = 0.85  # of a host, which is fixed as a whole one
_PORTION = 0.08  # of the hosts that are left, fixed at a time where none is nearly whole
_ALL_NODES = 300_000
_ALL_SETS = 20_000


class Resplit(NamedTuple):
    """A packing of replicas that are split otherwise: the replicas of the parts of each split."""

    parts: tuple[IntArray, ...]
    packing: list[Filled]


def dive(
    incumbent: Incumbent, pool: Pool, chance: np.random.Generator | None = None
) -> list[Filled] | None:
    """Return a packing, or None if the deadline or the incumbent's cost is reached before.

    With a random generator, the columns to fix are drawn in part.
    """
    instance = incumbent.instance
    remaining = Remaining.all_of(instance)
    packing: list[Filled] = []
    paid = 0
    own = pool.copy()
    master = _master(instance, own, remaining)
    items, replicas = _size(remaining)
    wanted: float | None = None
    little = _LITTLE
    while remaining.replicas.any():
        relaxed = _relax(incumbent, master, paid, wanted)
        if relaxed is None:
            return _complete(incumbent, remaining, packing) if packing else None
        if wanted is None:
            wanted = max(round_up(instance, relaxed.cost), (1 + TOLERATED) * relaxed.cost)
        if packing and int((remaining.replicas > 0).sum()) <= little:
            finished = _finish(incumbent, own, remaining, relaxed, packing)
            if finished is not None:
                return finished
            little //= 4
        fixed = _fix(instance, own, remaining, relaxed, chance)
        if not fixed:
            return None
        packing += fixed
        paid += sum(instance.kinds[each.kind].price * each.times for each in fixed)
        few_items, few_replicas = _size(remaining)
        if 2 * few_items <= items or 2 * few_replicas <= replicas:
            master = _master(instance, own, remaining)  # whose columns are cut to what remains
            items, replicas = few_items, few_replicas
        else:
            master.reduce(remaining)
    return packing


def solve_whole(incumbent: Incumbent, pool: Pool, seconds: float) -> list[Filled] | None:
    """Return the packing of the restricted master as an integer program, if one is found."""
    remaining = Remaining.all_of(incumbent.instance)
    whole = fill_whole(incumbent.instance, pool, remaining, min(seconds, incumbent.seconds_left))
    return _packing_of(pool, whole.times, remaining)


def solve_all_sets(incumbent: Incumbent, seconds: float) -> None:
    """Look for a cheaper packing among all sets that may be in one, unless they are too many."""
    instance, everything = incumbent.instance, Remaining.all_of(incumbent.instance)
    pool = _all_sets(incumbent, everything, incumbent.until)
    if pool is None:
        return
    seconds = min(seconds, incumbent.seconds_left)
    whole = fill_whole(instance, pool, everything, seconds, below=incumbent.cost)
    incumbent.offer(_packing_of(pool, whole.times, everything))
    incumbent.is_final = whole.is_final and not instance.splits  # which may divide otherwise


def solve_splits(incumbent: Incumbent, pool: Pool, seconds: float) -> Resplit | None:
    """Return a cheaper packing with replicas split anew, if one is found.

    That is among all sets that may be in one, or if they are too many, among the columns.
    """
    instance, everything = incumbent.instance, Remaining.most_of(incumbent.instance)
    until = monotonic() + min(seconds, incumbent.seconds_left)
    every = _all_sets(incumbent, everything, until)
    pool = pool if every is None else every
    seconds = until - monotonic()
    whole = fill_whole(instance, pool, everything, seconds, below=incumbent.cost, free=True)
    if whole.times is None:
        incumbent.is_final = every is not None and whole.is_final
        return None
    replicas = instance.fixed
    for split, parts in zip(instance.splits, whole.parts, strict=True):
        np.add.at(replicas, split.items, parts)
    packing = _packing_of(pool, whole.times, everything._replace(replicas=replicas))
    return None if packing is None else Resplit(whole.parts, packing)


def _all_sets(incumbent: Incumbent, remaining: Remaining, until: float) -> Pool | None:
    """Return all sets that may be in a cheaper packing of what remains, None for too many."""
    instance, bound = incumbent.instance, incumbent.bound
    gap = np.inf
    if incumbent.cost is not None:
        gap = incumbent.cost - instance.price_step - bound.cost
    paid = instance.prices + bound.rents(instance)
    thresholds = np.maximum(paid * (1 - 1e-6) - gap, -1.0)
    # If any set may be in a cheaper packing, they are few only in a small problem.
    nodes = _ALL_NODES if gap < paid.min() else _ALL_NODES // 30
    # What is worth nothing belongs to sets as well.
    values = np.maximum(bound.scale * bound.values, 1e-9 * max(1.0, float(paid.max())))
    pool = Pool(len(instance.replicas))
    for place, kind in enumerate(instance.kinds):
        found = search(
            Knapsack.of(instance, kind, remaining.replicas),
            values,
            bound.weights[place],
            float(thresholds[place]),
            nodes=nodes,
            every=True,
            until=until,
        )
        if not found.exhausted or len(found.worth) + len(pool) > _ALL_SETS:
            return None
        for counts in found.counts:
            pool.add(place, counts)
    return pool


def take(kind: int, counts: IntArray, times: int, remaining: Remaining) -> list[Filled]:
    """Place the replicas of up to so many hosts, no more than remain, which are then fewer."""
    taken = []
    while times > 0:
        cut = np.minimum(counts, remaining.replicas)
        held = cut > 0
        if not held.any():
            break
        most = min(times, (remaining.replicas[held] // cut[held]).min(), remaining.available[kind])
        if most < 1:
            break
        remaining.replicas[:] -= int(most) * cut
        remaining.available[kind] -= int(most)
        taken.append(Filled(kind, cut, int(most)))
        times -= int(most)
    return taken


def _relax(incumbent: Incumbent, master: Master, paid: int, wanted: float | None) -> Relaxed | None:
    """Return the relaxed master of what remains, with new columns if it costs more than is wanted.

    Return None if it costs no less than the incumbent, with what is paid.
    """
    instance, pool, remaining = incumbent.instance, master.pool, master.remaining
    relaxed = master.solve(incumbent.seconds_left)
    for _ in range(_ROUNDS):
        if relaxed is None or wanted is None:
            break
        if paid + relaxed.cost <= wanted + 1e-6 * instance.price_step:
            break
        duals = Duals(relaxed.values, relaxed.rents)
        if not add_quickly(instance, pool, remaining, relaxed, duals, incumbent.bound.weights):
            thresholds = (instance.prices + relaxed.rents) * (1 + 1e-6)
            priced = price(instance, remaining, duals, thresholds, _NODES, incumbent.until)
            if not sum(pool.add(place, counts) for place, counts, _ in priced.columns):
                break
        relaxed = master.solve(incumbent.seconds_left)
    # What is left out costs so much that the cost says nothing yet.
    if relaxed is None or incumbent.cost is None or master.may_leave_out:
        return relaxed
    least = paid + relaxed.cost - 1e-6 * instance.price_step
    return relaxed if least <= incumbent.cost - instance.price_step else None


def _master(instance: Instance, pool: Pool, remaining: Remaining) -> Master:
    """Return a master of what remains.

    Where hosts are limited, replicas may be left out at a price, so that new columns are found if
    these don't suffice.
    """
    limited = bool(np.isfinite(remaining.available).any())
    penalty = PENALTY * float(instance.prices.max()) if limited else None
    return Master(instance, pool, remaining, penalty=penalty)


def _size(remaining: Remaining) -> tuple[int, int]:
    """Return the number of items of which replicas remain, and that of these replicas."""
    return int((remaining.replicas > 0).sum()), int(remaining.replicas.sum())


def _fix(
    instance: Instance,
    pool: Pool,
    remaining: Remaining,
    relaxed: Relaxed,
    chance: np.random.Generator | None,
) -> list[Filled]:
    """Take the hosts that are whole or nearly so, else a portion of the most nearly whole."""
    times = relaxed.times
    order = np.argsort(-times, kind="stable")
    order = order[times[order] > 1e-6]
    fixed: list[Filled] = []
    for least in (1.0, _NEARLY):
        whole = np.floor(times + 1 - least + 1e-6)
        for column in order[whole[order] >= 1].tolist():
            fixed += take(pool.kinds[column], pool.pattern(column), int(whole[column]), remaining)
        if fixed:
            return fixed
    if chance is not None:
        drawn = times[order] + chance.normal(0, 0.15, len(order))
        order = order[np.argsort(-drawn, kind="stable")]
    most = max(1, int(_PORTION * float(times.sum())))
    for column in order.tolist():
        counts = pool.pattern(column)
        fits = bool((np.minimum(counts, instance.replicas) <= remaining.replicas).all())
        if fits or not fixed:
            fixed += take(pool.kinds[column], counts, 1, remaining)
        if len(fixed) >= most:
            break
    return fixed


def _complete(
    incumbent: Incumbent, remaining: Remaining, packing: list[Filled]
) -> list[Filled] | None:
    """Return the packing with what remains by a rule, if the deadline has ended the dive."""
    if incumbent.seconds_left > _LATE_SECONDS:
        return None
    worths = Worths(incumbent.bound.scale * incumbent.bound.values, incumbent.bound.weights)
    until = monotonic() + _LATE_SECONDS
    rest = construct(incumbent.instance, worths, RULES[0], remaining, until)
    return None if rest is None else packing + rest


def _finish(
    incumbent: Incumbent,
    pool: Pool,
    remaining: Remaining,
    relaxed: Relaxed,
    packing: list[Filled],
) -> list[Filled] | None:
    """Return the packing with what remains, by an integer program; None if that takes too long."""
    instance = incumbent.instance
    duals = Duals(relaxed.values, relaxed.rents)
    thresholds = (instance.prices + relaxed.rents) * (1 - _LACKING)
    near = price(
        instance, remaining, duals, thresholds, _LITTLE_NODES, incumbent.until, more=_LITTLE_MORE
    )
    cut = _cut(instance, pool, near.columns, remaining, relaxed)
    seconds = min(_LITTLE_SECONDS, _LITTLE_SHARE * incumbent.seconds_left)
    rest = _packing_of(cut, fill_whole(instance, cut, remaining, seconds).times, remaining)
    return None if rest is None else packing + rest


def _cut(
    instance: Instance,
    pool: Pool,
    near: list[tuple[int, IntArray, float]],
    remaining: Remaining,
    relaxed: Relaxed,
) -> Pool:
    """Return the columns cut to what remains, once each: those in use, and those of least loss."""
    paid = np.maximum(instance.prices + relaxed.rents, 1e-9)
    columns = [(kind, pool.pattern(column)) for column, kind in enumerate(pool.kinds)]
    columns += [(kind, counts) for kind, counts, _ in near]
    counts = np.minimum(np.array([each for _, each in columns]), remaining.replicas)
    losses = 1 - counts @ relaxed.values / paid[[kind for kind, _ in columns]]
    used = np.flatnonzero(relaxed.times > 0)
    losses[used] = -np.inf
    few = Pool(len(instance.replicas))
    for column in np.argsort(losses, kind="stable").tolist():
        if counts[column].any():
            few.add(columns[column][0], counts[column])
        if len(few) >= _LITTLE_COLUMNS:
            break
    return few


def _packing_of(pool: Pool, times: IntArray | None, remaining: Remaining) -> list[Filled] | None:
    """Return the packing of so many hosts for each column, None if it leaves something out."""
    if times is None:
        return None
    left = Remaining(remaining.replicas.copy(), remaining.available.copy())
    packing: list[Filled] = []
    for column in np.flatnonzero(times).tolist():
        packing += take(pool.kinds[column], pool.pattern(column), int(times[column]), left)
    return None if left.replicas.any() else packing
