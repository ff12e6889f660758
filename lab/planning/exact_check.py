"""The check of a plan and its bound, in whole numbers; it needs nothing but this page.

A plan is right if its hosts carry all replicas. Its bound is right if, at the prices of replicas,
no set that a host may carry is worth more than the host's price plus its rent: all replicas
together are then worth no more than any plan costs, plus the rents of all hosts that are available.

What a set is worth at most follows from prices of resources: each replica is worth what it takes
of them, and a surplus. Any such prices are valid; good ones make the check short.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import accumulate
from math import gcd
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STEPS = 20_000_000
PENDING = 1_000_000  # branches that are kept at once


class Replicas(NamedTuple):
    """Equal replicas, at most `most` on a host; `price` is of one.

    `apart` has places of demands; of two apart, each names the other. `hosts` has places of the
    kinds that one fits on and may run on.
    """

    size: tuple[int, ...]
    most: int
    apart: frozenset[int]
    hosts: frozenset[int]
    price: int


class Hosts(NamedTuple):
    """Equal hosts. The rent, and the price of a unit of each resource, count as replicas' do."""

    capacity: tuple[int, ...]
    price: int
    available: int | None
    rent: int
    resource_prices: Sequence[int]

    def cost(self, amounts: Sequence[int]) -> int:
        """Return what these amounts of the resources cost."""
        return sum(price * n for price, n in zip(self.resource_prices, amounts, strict=True))


class Split(NamedTuple):
    """Replicas that are divided among demands, whose numbers differ by the skew at most.

    Each demand is in one split, mostly alone.
    """

    demands: tuple[int, ...]
    total: int
    skew: int


class Item(NamedTuple):
    """Equal demands as one: the place of the first, and the most replicas of all on a host."""

    price: int
    size: tuple[int, ...]
    apart: frozenset[int]
    demand: int
    most: int


def cost(
    demands: Sequence[Replicas],
    kinds: Sequence[Hosts],
    splits: Sequence[Split],
    patterns: Sequence[tuple[int, int, Mapping[int, int]]],
) -> int:
    """Return what the patterns cost (kind, times, counts); raise ValueError for a wrong one."""
    placed: Counter[int] = Counter()
    hosts: Counter[int] = Counter()
    for line, (kind, times, counts) in enumerate(patterns):
        room = kinds[kind].capacity
        load = [sum(n * demands[d].size[r] for d, n in counts.items()) for r in range(len(room))]
        if times < 1 or any(used > free for used, free in zip(load, room, strict=True)):
            raise ValueError(f"patterns[{line}]: more than the host's capacity, or on no host")
        for d, n in counts.items():
            each = demands[d]
            if not (0 < n <= each.most and kind in each.hosts and not each.apart & set(counts)):
                raise ValueError(f"patterns[{line}]: a rule forbids this")
            placed[d] += n * times
        hosts[kind] += times
    for places, total, skew in splits:
        parts = [placed[d] for d in places]
        if sum(parts) != total:
            raise ValueError("patterns: not all replicas are placed, or too many")
        if max(parts) - min(parts) > skew:
            raise ValueError("patterns: replicas are spread with more than the skew")
    if any(
        each.available is not None and hosts[k] > each.available for k, each in enumerate(kinds)
    ):
        raise ValueError("patterns: more hosts than are available")
    return sum(kinds[k].price * times for k, times in hosts.items())


def bound(
    demands: Sequence[Replicas], kinds: Sequence[Hosts], splits: Sequence[Split], unit: int
) -> int:
    """Return the bound that the prices prove, in `unit` parts; raise ValueError if they don't."""
    for place, kind in enumerate(kinds):
        alike = defaultdict(list)
        for demand, each in enumerate(demands):
            if place in each.hosts and each.price:
                alike[each.price, each.size, each.apart].append(demand)
        items = [Item(*k, who[0], sum(demands[d].most for d in who)) for k, who in alike.items()]
        refuse_more(kind.price * unit + kind.rent, kind, items)
    worth = sum(least_worth([demands[d].price for d in who], n, skew) for who, n, skew in splits)
    rents = sum(kind.rent * (kind.available or 0) for kind in kinds)
    used = frozenset[int]().union(*(each.hosts for each in demands))
    step = unit * (gcd(*(kinds[place].price for place in used)) or 1)
    return max(0, -((rents - worth) // step) * step // unit)


def least_worth(prices: Sequence[int], total: int, skew: int) -> int:
    """Return what replicas are worth at least, however they are split: the cheapest part has most.

    With `fewest` in a part, the others have up to the skew more. The least worth is where one part
    at most is between: it is convex in `fewest`, and bends there.
    """
    prices, parts = sorted(prices), len(prices)
    bends = [(total - place * skew) // parts for place in range(parts + 1)]
    worths = []
    for fewest in {max(0, bend + more) for bend in bends for more in (0, 1)}:
        spare = total - fewest * parts
        above = [min(skew, max(0, spare - place * skew)) for place in range(parts)]
        if spare == sum(above):
            worths.append(sum(p * (fewest + n) for p, n in zip(prices, above, strict=True)))
    return min(worths)


def refuse_more(limit: int, kind: Hosts, items: Sequence[Item]) -> None:
    """Raise ValueError if a set of items on a host is worth more than the limit.

    Items are taken in the order of what their resources cost, the dearest first. A branch ends
    where what is left of the host, and the surplus of all later items, brings it to no more.
    """
    items = sorted(items, key=lambda item: kind.cost(item.size))
    later = [*accumulate((max(0, i.price - kind.cost(i.size)) * i.most for i in items), initial=0)]
    stack = [(len(items), 0, kind.capacity, frozenset[int]())]
    for _ in range(STEPS):
        if not stack:
            return
        end, worth, room, barred = stack.pop()
        if worth > limit:
            raise ValueError("replica_prices: a set is worth more than its host costs")
        while end and worth + kind.cost(room) + later[end] > limit:
            end -= 1
            price, size, apart, demand, most = items[end]
            fits = [free // part for free, part in zip(room, size, strict=True) if part]
            most = 0 if demand in barred else min([most, *fits])
            # All replicas that take nothing are worth most: fewer are no branch of their own.
            fewest = 1 if fits else max(1, most)
            if most - fewest + len(stack) >= PENDING:
                raise ValueError("resource_prices: the proof takes too much memory to check")
            for n in range(most, fewest - 1, -1):
                left = tuple(free - n * part for free, part in zip(room, size, strict=True))
                stack.append((end, worth + n * price, left, barred | apart))
    raise ValueError("resource_prices: the proof takes too long to check with them")
