"""Exchange: pack onto a fixed number of hosts by moves and swaps that lower the overload.

The search begins with a plan of one host more, whose emptiest host is given up: its replicas go
where they overload least. A step takes an overloaded host, and of all moves of one of its replicas,
and swaps with one elsewhere, that which leaves the least overload. What was moved rests for some
steps (tabu search, Glover 1989). Where hosts carry many replicas this finds plans that patterns
miss.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

import numpy as np

from lab.planning.instance import Filled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.planning.incumbent import Incumbent
    from lab.planning.instance import BoolArray, FloatArray, Instance, IntArray

_MOST_REPLICAS = 3_000
_CELLS = 1_000_000  # amounts that are compared in one step, which bounds its time and memory
_EXACT = 2**48  # amounts whose sums floats hold exactly
_REST = 10  # steps that a replica which was moved stays, and up to as many more
_STALE = 2_000  # steps without less overload, after which some replicas are moved at random
_SHAKEN = 4  # of these replicas


def exchange(incumbent: Incumbent, until: float, chance: np.random.Generator) -> None:
    """Look for plans of one host less, and less again, until the time is over."""
    instance = incumbent.instance
    while incumbent.packing and not incumbent.is_optimal and applies(instance):
        packing = _one_host_less(instance, incumbent.packing, until, chance)
        if not incumbent.offer(packing):
            return


def applies(instance: Instance) -> bool:
    """Return True if there is one kind of host, in any number, that only capacity limits."""
    if len(instance.kinds) != 1 or instance.apart is not None:
        return False
    kind = instance.kinds[0]
    if int(kind.capacity.max(initial=0)) >= _EXACT:
        return False
    if kind.available is not None or int(instance.replicas.sum()) > _MOST_REPLICAS:
        return False
    fits = np.where(instance.sizes > 0, kind.capacity // np.maximum(instance.sizes, 1), 2**62)
    return bool((kind.limits == np.minimum(instance.replicas, fits.min(axis=1))).all())


class _Hosts:
    """Replicas on a fixed number of hosts, some of which may be overloaded.

    `excess` is what a host carries above its capacity, negative where there is room, in whole
    numbers that floats hold exactly. A unit of it weighs `weights`.
    """

    def __init__(
        self, sizes: FloatArray, capacity: FloatArray, place: IntArray, hosts: int
    ) -> None:
        self.sizes, self.place = sizes, place
        self.weights: FloatArray = 1.0 / np.maximum(capacity, 1.0)
        self.excess: FloatArray = np.repeat(-capacity[None], hosts, axis=0)
        np.add.at(self.excess, place, sizes)
        self.over = self._overload(self.excess)

    def move(self, replica: int, host: int) -> None:
        """Move a replica to a host."""
        changed = [int(self.place[replica]), host]
        self.excess[changed[0]] -= self.sizes[replica]
        self.excess[host] += self.sizes[replica]
        self.place[replica] = host
        self.over[changed] = self._overload(self.excess[changed])

    def best_step(
        self, host: int, resting: BoolArray, chance: np.random.Generator
    ) -> tuple[int, int]:
        """Return the best move or swap of a replica on that host: the replica, and the other.

        The other is a replica, or a host, counted from behind the replicas. Those that are resting
        stay.
        """
        here = self.place == host
        own = np.flatnonzero(here & ~resting)
        if not len(own):
            own = np.flatnonzero(here)
        if len(own) > (most := max(1, _CELLS // self.sizes.size)):
            own = chance.choice(own, most, replace=False)
        sizes = self.sizes[own]
        lost = sizes[:, None, :] - self.sizes[None, :, :]
        swapped = self._overload(self.excess[host] - lost)
        swapped += self._overload(self.excess[self.place] + lost) - self.over[self.place]
        swapped[:, here | resting] = np.inf
        moved = self._overload(self.excess + sizes[:, None, :]) - self.over
        moved += self._overload(self.excess[host] - sizes)[:, None]
        moved[:, host] = np.inf
        after = np.concatenate((swapped, moved), axis=1)
        after += 1e-9 * chance.random(after.shape)  # of equal ones, any
        row, other = divmod(int(after.argmin()), after.shape[1])
        return int(own[row]), other

    def _overload(self, excess: FloatArray) -> FloatArray:
        """Return the overload of each host: the sum over its resources, in shares of a host."""
        return np.asarray(np.maximum(excess, 0.0) @ self.weights, dtype=np.float64)


def _one_host_less(
    instance: Instance, packing: Sequence[Filled], until: float, chance: np.random.Generator
) -> list[Filled] | None:
    """Return a packing on one host less, None if none is found in time."""
    items, place = _assigned(packing)
    hosts = int(place.max())
    if not hosts:
        return None
    sizes = instance.sizes[items].astype(np.float64)
    capacity = instance.kinds[0].capacity.astype(np.float64)
    load = np.zeros(hosts + 1)
    np.add.at(load, place, (sizes / np.maximum(capacity, 1.0)).sum(axis=1))
    emptied = int(load.argmin())
    homeless = np.flatnonzero(place == emptied)
    place[place == hosts] = emptied
    place[homeless] = chance.integers(0, hosts, len(homeless))
    found = _Hosts(sizes, capacity, place, hosts)
    if not _relieve(found, until, chance):
        return None
    counts = np.zeros((hosts, len(instance.replicas)), dtype=np.int64)
    np.add.at(counts, (found.place, items), 1)
    return [Filled(0, row, 1) for row in counts if row.any()]


def _relieve(hosts: _Hosts, until: float, chance: np.random.Generator) -> bool:
    """Move and swap replicas until no host is overloaded; return False if time is over before."""
    number = len(hosts.place)
    rests_until = np.zeros(number, dtype=np.int64)
    least, since, step = float(hosts.over.sum()), 0, 0
    while monotonic() < until:
        overloaded = np.flatnonzero(hosts.over > 0)
        if not len(overloaded):
            return True
        step += 1
        host = int(chance.choice(overloaded))
        replica, other = hosts.best_step(host, rests_until > step, chance)
        rest = step + _REST + int(chance.integers(0, _REST))
        rests_until[replica] = rest
        if other < number:
            hosts.move(replica, int(hosts.place[other]))
            hosts.move(other, host)
            rests_until[other] = rest
        else:
            hosts.move(replica, other - number)
        total = float(hosts.over.sum())
        if total < least - 1e-9:
            least, since = total, step
        elif step - since > _STALE:
            for each in chance.integers(0, number, _SHAKEN).tolist():
                hosts.move(each, int(chance.integers(0, len(hosts.over))))
            least, since = float(hosts.over.sum()), step
    return False


def _assigned(packing: Sequence[Filled]) -> tuple[IntArray, IntArray]:
    """Return the item of each replica, and its host."""
    items: list[IntArray] = []
    places: list[IntArray] = []
    host = 0
    for filled in packing:
        own = np.repeat(np.arange(len(filled.counts)), filled.counts)
        for _ in range(filled.times):
            items.append(own)
            places.append(np.full(len(own), host))
            host += 1
    return np.concatenate(items), np.concatenate(places)
