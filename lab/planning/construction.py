"""Plans built host by host: fill a host with what suits it best, take it as often as it fits.

The rules that choose the next replica are those of vector packing heuristics: the largest first,
the greatest dot product with the room that is left, the size closest to it (Panigrahy and others
2011), and the worth of a replica in the relaxation.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lab.planning.instance import Filled
from lab.planning.pricing import Knapsack, search

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.planning.instance import FloatArray, Instance, IntArray, Kind
    from lab.planning.master import Remaining
    from lab.planning.relaxation import Worths

_NODES = 400  # that are expanded to fill one host by search
_BATCH = 8  # the share of the copies that fit, of which one batch is taken at a time


class View(NamedTuple):
    """A host that is being filled: room left as shares, and weights of the resources."""

    room: FloatArray
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class Rule:
    """A choice of the next item: the one with the highest score.

    `score` takes the shares and worths of some items, and the host. With `by_demand`, a resource
    weighs what is wanted of it in all; else its worth in the relaxation. A `fixed` score does not
    depend on the room.
    """

    score: Callable[[FloatArray, FloatArray, View], FloatArray]
    by_demand: bool = False
    fixed: bool = False


def _largest(shares: FloatArray, _worths: FloatArray, view: View) -> FloatArray:
    return np.asarray(shares @ view.weights, dtype=np.float64)


def _dearest(_shares: FloatArray, worths: FloatArray, _view: View) -> FloatArray:
    return worths


def _dot_product(shares: FloatArray, _worths: FloatArray, view: View) -> FloatArray:
    return np.asarray(shares @ (view.weights * view.room), dtype=np.float64)


def _closest(shares: FloatArray, _worths: FloatArray, view: View) -> FloatArray:
    return np.asarray(-((view.room - shares) ** 2 @ view.weights), dtype=np.float64)


def _dense(shares: FloatArray, worths: FloatArray, view: View) -> FloatArray:
    scarce = view.weights / np.maximum(view.room, 0.05)
    return np.asarray(worths / np.maximum(shares @ scarce, 1e-12), dtype=np.float64)


def _dear_and_dot(shares: FloatArray, worths: FloatArray, view: View) -> FloatArray:
    return np.asarray(worths * (shares @ (view.weights * view.room)), dtype=np.float64)


RULES = (
    Rule(_dearest, fixed=True),
    Rule(_closest, by_demand=True),
    Rule(_dot_product, by_demand=True),
    Rule(_largest, by_demand=True, fixed=True),
    Rule(_closest),
    Rule(_dot_product),
    Rule(_dear_and_dot, by_demand=True),
    Rule(_dense),
)


def construct(
    instance: Instance,
    worths: Worths,
    rule: Rule,
    remaining: Remaining,
    until: float,
    emphasis: FloatArray | None = None,
) -> list[Filled] | None:
    """Return a packing of what remains by a rule; None without hosts enough, or time.

    With an emphasis, each resource weighs so many times as much.
    """
    packing = fill_hosts(instance, worths, rule, remaining, until, emphasis)
    return packing if carries_all(packing, remaining) else None


def carries_all(packing: Sequence[Filled], remaining: Remaining) -> bool:
    """Return True if the packing carries all that remains."""
    return not (remaining.replicas - sum(each.times * each.counts for each in packing)).any()


def fill_hosts(
    instance: Instance,
    worths: Worths,
    rule: Rule,
    remaining: Remaining,
    until: float,
    emphasis: FloatArray | None = None,
) -> list[Filled]:
    """Return a packing of what remains by a rule, as far as hosts and time allow."""

    def fill(place: int, replicas: IntArray) -> IntArray:
        kind = instance.kinds[place]
        weights = _weights(worths, place, kind, replicas, rule)
        if emphasis is not None:
            weights = weights * emphasis
        return _fill(instance, kind, replicas, worths.values, weights, rule)

    return _host_by_host(instance, worths, remaining, until, fill)


def construct_by_search(
    instance: Instance, worths: Worths, remaining: Remaining, until: float
) -> list[Filled] | None:
    """Return a packing of what remains: the dearest replica, and the best set beside it.

    This is minimum bin slack (Gupta and Ho 1999; Fleszar and Hindi 2002) for several resources.
    """

    def fill(place: int, replicas: IntArray) -> IntArray:
        kind = instance.kinds[place]
        usable = (replicas > 0) & (kind.limits > 0)
        if not usable.any():
            return np.zeros(len(replicas), dtype=np.int64)
        seed = int(np.where(usable, worths.values, -1.0).argmax())
        return _best_with(instance, kind, replicas, seed, worths, place)

    # What is worth nothing is placed too, where there is room beside other replicas.
    least = 1e-6 * float(worths.values.max()) or 1.0
    worths = worths._replace(values=np.maximum(worths.values, least))
    packing = _host_by_host(instance, worths, remaining, until, fill)
    return packing if carries_all(packing, remaining) else None


def _host_by_host(
    instance: Instance,
    worths: Worths,
    remaining: Remaining,
    until: float,
    fill: Callable[[int, IntArray], IntArray],
) -> list[Filled]:
    """Fill a host of each kind, and take that which is worth most for its price, until all is
    carried, or hosts or time end.

    A kind whose hosts are scarce costs its rent too. A host is filled anew only when what was on it
    is not left any more.
    """
    replicas, available = remaining.replicas.copy(), remaining.available.copy()
    paid = np.maximum(np.maximum(instance.prices, worths.weights.sum(axis=1)), 1e-9)
    filled: dict[int, IntArray] = {}
    ratios = np.where(available >= 1, np.inf, 0.0)
    packing: list[Filled] = []
    while replicas.any() and monotonic() <= until:
        place = int(ratios.argmax())
        if ratios[place] <= 0:
            break
        counts = filled.get(place)
        if counts is None or (counts > replicas).any():
            counts = filled[place] = fill(place, replicas)
            worth = float(worths.values @ counts) + 1e-9 * float(counts.sum())
            ratios[place] = worth / paid[place]
            continue
        held = counts > 0
        times = int(min((replicas[held] // counts[held]).min(), available[place]))
        replicas -= times * counts
        available[place] -= times
        if available[place] < 1:
            ratios[place] = 0.0
        packing.append(Filled(place, counts, times))
    return packing


def _weights(worths: Worths, place: int, kind: Kind, replicas: IntArray, rule: Rule) -> FloatArray:
    """Return the weights of the resources for a rule; none is zero."""
    if rule.by_demand:
        weights = np.asarray(replicas @ kind.shares, dtype=np.float64)
    else:
        weights = worths.weights[place]
    total = float(weights.sum())
    return weights / total + 1e-3 if total > 0 else np.ones(len(weights))


def _fill(
    instance: Instance,
    kind: Kind,
    replicas: IntArray,
    values: FloatArray,
    weights: FloatArray,
    rule: Rule,
) -> IntArray:
    """Return the copies of each item on one host, filled by a rule."""
    counts = np.zeros(len(replicas), dtype=np.int64)
    limits = np.minimum(kind.limits, replicas)
    room = kind.capacity.copy()
    unit = 1.0 / np.maximum(kind.capacity, 1)
    alive = np.flatnonzero(limits)
    fixed = rule.score(kind.shares, values, View(np.ones(len(room)), weights))
    while len(alive):
        score = (
            fixed[alive]
            if rule.fixed
            else rule.score(kind.shares[alive], values[alive], View(room * unit, weights))
        )
        item = int(alive[score.argmax()])
        size = instance.sizes[item]
        wanted = size > 0
        fit = int(min([limits[item], *(room[wanted] // size[wanted])]))
        copies = fit if rule.fixed else 1 + (fit - 1) // _BATCH
        counts[item] += copies
        limits[item] -= copies
        room -= copies * size
        fits = (instance.sizes[alive] <= room).all(axis=1) & (limits[alive] > 0)
        if instance.apart is not None:
            fits &= ~instance.apart[item, alive]
        alive = alive[fits]
    return counts


def _best_with(
    instance: Instance,
    kind: Kind,
    replicas: IntArray,
    seed: int,
    worths: Worths,
    place: int,
) -> IntArray:
    """Return the best set found on one host that has a copy of the seed."""
    whole = Knapsack.of(instance, kind, replicas)
    room = kind.capacity - instance.sizes[seed]
    limits = np.where((instance.sizes <= room).all(axis=1), whole.limits, 0)
    for row, column in enumerate(instance.sizes.T):
        fit = np.minimum(limits, room[row] // np.maximum(column, 1))
        limits = np.where(column > 0, fit, limits)
    limits[seed] = min(int(limits[seed]), int(whole.limits[seed]) - 1)
    if instance.apart is not None:
        limits[instance.apart[seed]] = 0
    shares = instance.sizes / np.maximum(room, 1)
    left = worths.weights[place] * (room / np.maximum(kind.capacity, 1))
    rest = Knapsack(instance.sizes, room, limits, shares, instance.apart)
    found = search(rest, worths.values, left, 0.0, nodes=_NODES)
    counts = np.zeros(len(replicas), dtype=np.int64)
    if len(found.worth):
        counts = found.counts[int(found.worth.argmax())].copy()
    counts[seed] += 1
    return counts
