"""Lower bounds from what replicas are worth, with certificates in rational numbers (Farley 1990).

If no set on a host of any kind is worth more than the host's price and rent, all replicas together
are worth no more than any plan costs, plus the rents of all hosts that are there. Worths that are
too high for this are scaled down.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor, inf, isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lab.planning.exact_check import least_worth
from lab.planning.instance import per_host
from lab.planning.problem import most_replicas
from lab.planning.solution import Certificate

if TYPE_CHECKING:
    from lab.planning.instance import FloatArray, Instance, IntArray, Kind
    from lab.planning.problem import Problem

_DENOMINATOR = 2**40
_MARGIN = 1e-9  # of rounding in the worth of a set
_USED = 0.1  # the share of the last step below the bound that a certificate uses up


class Bound(NamedTuple):
    """A cost that no plan undercuts: `scale` times the worth of all replicas, less the rents.

    `uppers` is what a set is worth at most on a host of each kind, and `weights` a surrogate's.
    `cost` is infinite if too few hosts are available.
    """

    cost: float
    values: FloatArray
    uppers: FloatArray
    weights: FloatArray
    scale: float

    def rents(self, instance: Instance) -> FloatArray:
        """Return the rent of a host of each kind."""
        limited = np.isfinite(instance.available)
        rents = np.maximum(self.scale * self.uppers - instance.prices, 0.0)
        return np.where(limited, rents, 0.0)

    def rounded(self, instance: Instance) -> int:
        """Return the least cost that can occur."""
        return round_up(instance, self.cost)


def farley_bound(
    instance: Instance, values: FloatArray, uppers: FloatArray, weights: FloatArray
) -> Bound:
    """Return the greatest bound of all scales."""
    prices, available = instance.prices, instance.available
    uppers = uppers * (1 + _MARGIN)
    worth = instance.worth(values)
    limited = np.isfinite(available) & (uppers > 0)
    unlimited = ~np.isfinite(available) & (uppers > 0)
    most = float((prices[unlimited] / uppers[unlimited]).min(initial=inf))
    if most == inf and worth > float(available[limited] @ uppers[limited]):
        return Bound(inf, values, uppers, weights, 1.0)
    best = Bound(0.0, values, uppers, weights, 0.0)
    for scale in (most, *(prices[limited] / uppers[limited]).tolist()):
        if scale <= most and scale < inf:
            rents = np.maximum(scale * uppers[limited] - prices[limited], 0.0)
            cost = scale * worth - float(available[limited] @ rents)
            if cost > best.cost:
                best = Bound(cost, values, uppers, weights, scale)
    return best


def round_up(instance: Instance, cost: float) -> int:
    """Return the least cost that can occur and is no less, but for rounding."""
    steps = cost / instance.price_step
    return max(0, ceil(steps - 1e-7 - 1e-9 * abs(steps))) * instance.price_step


def certify(problem: Problem, instance: Instance, bound: Bound) -> tuple[Certificate, int]:
    """Return the certificate of a bound, and the bound that it proves exactly.

    The worths are lowered as far as rounding up allows: the proof is then quick to check.
    """
    scale = bound.scale
    if bound.cost > 0:
        below = bound.rounded(instance) - instance.price_step
        scale *= max(0.0, (below + _USED * (bound.cost - below)) / bound.cost)
    worths = [floor(value * scale * _DENOMINATOR) for value in bound.values.tolist()]
    total = sum(
        worth * number for worth, number in zip(worths, instance.fixed.tolist(), strict=True)
    )
    for split in instance.splits:
        total += least_worth([worths[item] for item in split.items], split.total, split.skew)
    rents = []
    for kind, upper in zip(instance.kinds, bound.uppers.tolist(), strict=True):
        more = max(0, ceil(upper * scale * _DENOMINATOR) - kind.price * _DENOMINATOR)
        # A host that is not there may cost anything.
        rents.append(0 if kind.available is None else more if kind.available else total)
    prices = [Fraction(0)] * len(problem.demands)
    for worth, places in zip(worths, instance.members, strict=True):
        for place in places:
            prices[place] = Fraction(worth, _DENOMINATOR)
    demands = [
        replace(demand, replicas=number)
        for demand, number in zip(problem.demands, most_replicas(problem), strict=True)
    ]
    # As many as rules allow: the check does not ask how many fit.
    most = np.array(
        [sum(per_host(demands[place]) for place in places) for places in instance.members]
    )
    certificate = Certificate(
        tuple(prices),
        tuple(Fraction(rent, _DENOMINATOR) for rent in rents),
        tuple(
            _resource_prices(kind, row, scale * bound.values, most)
            for kind, row in zip(instance.kinds, bound.weights, strict=True)
        ),
    )
    total -= sum(
        rent * (kind.available or 0) for rent, kind in zip(rents, instance.kinds, strict=True)
    )
    step = instance.price_step * _DENOMINATOR
    return certificate, max(0, -(-total // step) * instance.price_step)


def _resource_prices(
    kind: Kind, weights: FloatArray, values: FloatArray, most: IntArray
) -> tuple[Fraction, ...]:
    """Return the prices in proportion to the weights at which a set costs least, with its surplus.

    That is the worth by weight of the item which Dantzig's bound cuts, with so many of each item.
    """
    used = np.flatnonzero((values > 0) & (kind.limits > 0))
    widths, values = kind.shares[used] @ weights, values[used]
    density = np.full(len(used), inf)
    np.divide(values, widths, out=density, where=widths > 0)
    order = np.argsort(-density, kind="stable")
    filled = np.cumsum((widths * most[used])[order])
    cut = int(np.searchsorted(filled, float(weights.sum()), side="right"))
    price = float(density[order[cut]]) if cut < len(order) else 0.0
    price = price if isfinite(price) else 0.0
    prices = []
    for weight, room in zip(weights.tolist(), kind.capacity.tolist(), strict=True):
        parts = _DENOMINATOR << int(room).bit_length()
        prices.append(Fraction(floor(price * weight / max(1, room) * parts), parts))
    return tuple(prices)
