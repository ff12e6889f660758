"""Displaced replicas: whether those of lost hosts fit into the free room of the others.

Best fit by counts comes first: the largest replicas go to the hosts with the least room for them.
If some are left, the sets of displaced replicas that fit on each kind of room are enumerated, and
an integer program chooses among them: it finds the fewest further hosts, or that none is needed.
Where there are too many sets, the replicas that are left are packed on further hosts by the solver
of plans, whose number is then an upper bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.planning.problem import HostKind, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.planning.problem import Demand

_MOST_SETS = 5_000  # of replicas, for all kinds of room together
_MOST_STEPS = 50_000  # of the enumeration
_SECONDS = 5.0  # of the integer program, and of the solver
_OPTIMAL, _INFEASIBLE = 0, 2  # statuses of scipy.optimize.milp


@dataclass(frozen=True, slots=True)
class Room:
    """Equal hosts: their kind, what is free on each, the replicas on each by demand, their number.

    `started` has the displaced replicas on each. `times` None is any number of hosts that are not
    used yet.
    """

    kind: str
    free: tuple[int, ...]
    counts: Mapping[str, int]
    times: int | None
    started: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Refit:
    """Where displaced replicas went.

    `extra` is the number of further hosts that are needed; None if no host may carry some of the
    replicas. `is_exact` says that fewer can't be. `rooms` have the replicas that were placed on
    hosts that are there.
    """

    extra: int | None
    is_exact: bool
    rooms: tuple[Room, ...]


class Rules:
    """The rules for replicas on a host: sizes, limits, and services that are apart.

    `service_of` has the service of each demand: `per_host` is a limit of all its demands. `hosts`
    has the kinds of hosts that may carry each demand, None for all.
    """

    def __init__(
        self,
        demands: Sequence[Demand],
        service_of: Mapping[str, str],
        hosts: Mapping[str, frozenset[str] | None],
    ) -> None:
        self._demands = {demand.name: demand for demand in demands}
        self._service_of = service_of
        self._hosts = hosts
        self._apart = {demand.name: set(demand.apart_from) for demand in demands}
        for demand in demands:
            for other in demand.apart_from:
                self._apart.setdefault(other, set()).add(demand.name)

    def size(self, name: str) -> tuple[int, ...]:
        """Return a replica's size."""
        return self._demands[name].size

    def problem(self, replicas: Mapping[str, int], spare: Sequence[Room]) -> Problem:
        """Return the packing problem of these replicas, by demand, on unused hosts."""
        kinds = frozenset(room.kind for room in spare)
        return Problem(
            tuple(str(place) for place in range(len(spare[0].free))),
            tuple(
                replace(
                    self._demands[name],
                    replicas=number,
                    apart_from=frozenset(self._apart[name] & replicas.keys()),
                    hosts=None if (allowed := self._hosts[name]) is None else allowed & kinds,
                )
                for name, number in replicas.items()
            ),
            tuple(HostKind(room.kind, room.free, 1, room.times) for room in spare),
        )

    def most(self, name: str, room: Room) -> int:
        """Return how many more replicas of the demand each host of the room holds."""
        demand, allowed = self._demands[name], self._hosts[name]
        if allowed is not None and room.kind not in allowed:
            return 0
        if any(other in self._apart[name] for other in (*room.counts, *room.started)):
            return 0
        limits = [free // size for free, size in zip(room.free, demand.size, strict=True) if size]
        if demand.per_host is not None:
            service = self._service_of[name]
            present = sum(
                count
                for counts in (room.counts, room.started)
                for other, count in counts.items()
                if self._service_of[other] == service
            )
            limits.append(demand.per_host - present)
        return max(min(limits, default=demand.replicas), 0)

    def with_started(self, room: Room, name: str, count: int) -> Room:
        """Return the room with that many more replicas of the demand on each host."""
        free = tuple(
            free - count * size for free, size in zip(room.free, self.size(name), strict=True)
        )
        started = {**room.started, name: room.started.get(name, 0) + count}
        return replace(room, free=free, started=started)


def refit(
    displaced: Mapping[str, int],
    rooms: Sequence[Room],
    spare: Sequence[Room],
    rules: Rules,
    *,
    search: bool = True,
) -> Refit:
    """Place displaced replicas, by demand, into rooms; `spare` has kinds of further hosts.

    Of further hosts, the kinds that come first are preferred. Without `search` no sets are
    enumerated.
    """
    left, filled = _best_fit(displaced, rooms, rules)
    if not left:
        return Refit(0, is_exact=True, rooms=tuple(filled))
    still_left, added = _best_fit(left, spare, rules, widest=True)
    used = [room for room in added if room.started]
    extra = sum(room.times or 0 for room in used)
    if not still_left and extra == _least_extra(displaced, rooms, spare, rules):
        return Refit(extra, is_exact=True, rooms=(*filled, *used))
    if search and (exact := _fewest_extra(displaced, rooms, spare, rules)):
        return exact
    if still_left:
        everywhere = (*rooms, *spare)
        is_exact = any(_too_few(name, displaced[name], everywhere, rules) for name in still_left)
        return Refit(None, is_exact=is_exact, rooms=tuple(rooms))
    packed = _packed(left, spare, rules) if search else None
    if packed and (fewer := sum(room.times or 0 for room in packed)) < extra:
        return Refit(fewer, is_exact=False, rooms=(*filled, *packed))
    return Refit(extra, is_exact=False, rooms=(*filled, *used))


def _least_extra(
    displaced: Mapping[str, int], rooms: Sequence[Room], spare: Sequence[Room], rules: Rules
) -> int:
    """Return how many further hosts the sums of what is requested and free need at least."""
    least = 0
    for place in range(len(rules.size(next(iter(displaced))))):
        needed = sum(number * rules.size(name)[place] for name, number in displaced.items())
        missing = needed - sum(room.free[place] * (room.times or 0) for room in rooms)
        largest = max((room.free[place] for room in spare), default=0)
        if missing > 0 and largest:
            least = max(least, -(-missing // largest))
    return least


def _best_fit(
    displaced: Mapping[str, int], rooms: Sequence[Room], rules: Rules, *, widest: bool = False
) -> tuple[dict[str, int], list[Room]]:
    """Return the replicas that are left, and the rooms with the others.

    With `widest`, hosts that hold many come first, and those that are used already before them.
    """
    result = list(rooms)
    left: dict[str, int] = {}
    for name in sorted(displaced, key=lambda each: _weight(rules.size(each), rooms), reverse=True):
        need = displaced[name]
        fits = [(rules.most(name, room), place) for place, room in enumerate(result)]
        fits = sorted(each for each in fits if each[0])
        if widest:
            fits.sort(key=lambda each: (not result[each[1]].started, -each[0]))
        for most, place in fits:
            if not need:
                break
            parts = list(_filled(result[place], name, need, most, rules))
            result[place] = parts[0]
            result += parts[1:]
            need -= sum((part.times or 0) * part.started.get(name, 0) for part in parts)
        if need:
            left[name] = need
    return left, result


def _filled(room: Room, name: str, need: int, most: int, rules: Rules) -> Iterator[Room]:
    """Yield the room in parts: hosts that are filled, one with the rest, and untouched ones."""
    hosts = -(-need // most)
    if room.times is not None:
        hosts = min(hosts, room.times)
    full, rest = divmod(min(need, hosts * most), most)
    if full:
        yield replace(rules.with_started(room, name, most), times=full)
    if rest:
        yield replace(rules.with_started(room, name, rest), times=1)
    if room.times is None:
        yield room
    elif room.times > hosts:
        yield replace(room, times=room.times - hosts)


def _weight(size: Sequence[int], rooms: Sequence[Room]) -> float:
    """Return a replica's largest share of what is free in all rooms."""
    shares = [0.0]
    for place, each in enumerate(size):
        total = sum(room.free[place] * (room.times or 1) for room in rooms)
        shares.append(each / total if total else math.inf if each else 0.0)
    return max(shares)


def _packed(left: Mapping[str, int], spare: Sequence[Room], rules: Rules) -> list[Room] | None:
    """Return further hosts with the replicas, packed by the solver; None if it finds no way."""
    from lab.planning import solver

    try:
        solution = solver.solve(rules.problem(left, spare), deadline_seconds=_SECONDS)
    except InvalidConfig:
        return None
    kinds = {room.kind: room for room in spare}
    return [
        replace(kinds[pattern.host], times=pattern.times, started=dict(pattern.counts))
        for pattern in solution.patterns
    ]


def _too_few(name: str, need: int, rooms: Sequence[Room], rules: Rules) -> bool:
    """Return True if the rooms could not hold the demand's replicas even without any others."""
    found = 0
    for room in rooms:
        most = rules.most(name, room)
        if most and room.times is None:
            return False
        found += most * (room.times or 0)
    return found < need


def _fewest_extra(
    displaced: Mapping[str, int], rooms: Sequence[Room], spare: Sequence[Room], rules: Rules
) -> Refit | None:
    """Return the placement with the fewest further hosts; None if the search has no end in time."""
    import numpy as np
    from scipy.optimize import LinearConstraint, milp

    everywhere = (*rooms, *spare)
    sets = _all_sets(displaced, everywhere, rules)
    if sets is None:
        return None
    names = list(displaced)
    covered = np.array(
        [[float(filled.started.get(name, 0)) for _, filled in sets] for name in names]
    )
    hosts = np.array(
        [[float(place == number) for place, _ in sets] for number in range(len(everywhere))]
    )
    available = [math.inf if room.times is None else float(room.times) for room in everywhere]
    needed = [float(displaced[name]) for name in names]
    if not sets or (covered.max(axis=1) == 0).any():
        return Refit(None, is_exact=True, rooms=tuple(rooms))
    result = milp(
        np.array([float(place >= len(rooms)) for place, _ in sets]),
        constraints=[
            LinearConstraint(covered, lb=needed),
            LinearConstraint(hosts, ub=available),
        ],
        integrality=np.ones(len(sets), dtype=np.int64),
        options={"time_limit": _SECONDS, "mip_rel_gap": 0.0},
    )
    if result.status == _INFEASIBLE:
        return Refit(None, is_exact=True, rooms=tuple(rooms))
    if result.status != _OPTIMAL or result.x is None:
        return None
    counts = [round(value) for value in result.x]
    used = tuple(
        replace(filled, times=count)
        for (_, filled), count in zip(sets, counts, strict=True)
        if count
    )
    extra = sum(
        count for (place, _), count in zip(sets, counts, strict=True) if place >= len(rooms)
    )
    return Refit(extra, is_exact=True, rooms=used)


def _all_sets(
    displaced: Mapping[str, int], rooms: Sequence[Room], rules: Rules
) -> list[tuple[int, Room]] | None:
    """Return each room's place with each largest set of replicas that fits; None for too many."""
    names = list(displaced)
    sets: list[tuple[int, Room]] = []
    steps = 0
    for place, room in enumerate(rooms):
        open_rooms = [(0, room)]
        while open_rooms:
            steps += 1
            depth, filled = open_rooms.pop()
            if steps > _MOST_STEPS or len(sets) > _MOST_SETS:
                return None
            if depth < len(names):
                name = names[depth]
                most = min(rules.most(name, filled), displaced[name])
                if steps + len(open_rooms) + most > _MOST_STEPS:  # each is a step
                    return None
                open_rooms.append((depth + 1, filled))
                open_rooms += (
                    (depth + 1, rules.with_started(filled, name, count))
                    for count in range(1, most + 1)
                )
            elif filled.started and _is_largest(filled, displaced, rules):
                sets.append((place, filled))
    return sets


def _is_largest(filled: Room, displaced: Mapping[str, int], rules: Rules) -> bool:
    """Return True if no displaced replica fits beside those that are placed."""
    return all(
        filled.started.get(name, 0) >= number or not rules.most(name, filled)
        for name, number in displaced.items()
    )
