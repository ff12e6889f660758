"""Failures: which loss of a host, a rack or a zone breaks a plan, and what surviving it costs.

The replicas of the lost hosts are placed into the free room of the others, with the rules of the
plan; after the loss of a rack or zone, services that were spread over them may go to any other. No
replica that runs is moved. Hosts that the plan does not use are counted as further hosts.

A plan may leave open in which of several zones or racks its hosts are, where no service is spread
over them. They are then taken to be shared out evenly, pattern by pattern.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lab.planning.demands import quotas
from lab.planning.displacement import Room, Rules, refit
from lab.planning.recovery import recovery_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.planning.displacement import Refit
    from lab.planning.plan import Plan
    from lab.planning.problem import HostKind
    from lab.planning.recovery import Starts
    from lab.planning.solution import Pattern

Level = Literal["host", "rack", "zone"]
LEVELS: tuple[Level, ...] = ("host", "rack", "zone")
Domain = tuple[str, str]  # zone and rack


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of a host, a rack or a zone: what is lost, and what surviving it costs.

    `name` names the rack or zone, or the kind of host; `alike` is the number of hosts with the same
    replicas, each of whose losses is the same. `extra_hosts` is the number of further hosts with
    which the plan survives: 0 if it does as it is, None if no further hosts help or were found to.
    `is_exact` says that fewer can't do. `recovery_seconds` is None where starts were not measured.
    """

    level: Level
    name: str
    alike: int
    hosts: int
    replicas: int
    extra_hosts: int | None
    is_exact: bool
    recovery_seconds: float | None

    @property
    def survives(self) -> bool:
        """True if the other hosts have room for the lost replicas."""
        return self.extra_hosts == 0


@dataclass(frozen=True, slots=True)
class _Placed:
    """Equal hosts of a plan in one failure domain."""

    pattern: Pattern
    domain: Domain
    times: int


def losses(
    plan: Plan,
    starts: Mapping[str, Starts] | None = None,
    *,
    deadline_seconds: float = 60.0,
) -> tuple[Loss, ...]:
    """Return every loss of a single host, rack or zone; hosts with the same replicas are one.

    `starts` has the measured starts of services. After the deadline, further hosts are upper
    bounds.
    """
    until = time.monotonic() + deadline_seconds
    placed = _placed(plan)
    found = []
    for level in LEVELS:
        for name, alike, lost in _lost(level, plan, placed):
            search = time.monotonic() < until
            outcome = _outcome(level, plan, placed, lost, search=search)
            seconds = None
            if outcome.extra is not None and starts:
                seconds = recovery_seconds(outcome.rooms, plan.service_of, starts)
            found.append(
                Loss(
                    level=level,
                    name=name,
                    alike=alike,
                    hosts=sum(lost.values()),
                    replicas=sum(_displaced(placed, lost).values()),
                    extra_hosts=outcome.extra,
                    is_exact=outcome.is_exact,
                    recovery_seconds=seconds,
                )
            )
    return tuple(found)


def hosts_to_survive(level: Level, found: Sequence[Loss]) -> int | None:
    """Return how many further hosts survive the loss of any one domain; None if that is unknown.

    Further hosts in the lost rack or zone are lost with it. If the hosts of all domains are alike,
    k domains whose losses need e₁ … e_k hosts need the larger of the largest e and Σe / (k − 1).
    """
    needed = [loss.extra_hosts for loss in found if loss.level == level]
    known = [number for number in needed if number is not None]
    if not needed or len(known) < len(needed):
        return None
    most = max(known)
    if level == "host" or most == 0:
        return most
    return None if len(known) == 1 else max(most, -(-sum(known) // (len(known) - 1)))


def _placed(plan: Plan) -> list[_Placed]:
    """Return the plan's hosts by pattern and failure domain."""
    room: dict[str, dict[Domain, int | None]] = {}
    for kind, hosts in plan.groups.items():
        domains = room.setdefault(kind, {})
        for host in hosts:
            known = domains.get((host.zone, host.rack), 0)
            number = None if known is None or host.count is None else known + host.count
            domains[host.zone, host.rack] = number
    result = []
    for shift, pattern in enumerate(plan.solution.patterns):
        domains = room[pattern.host]
        split = quotas(pattern.times, list(domains.values()), shift % len(domains))
        for domain, times in zip(list(domains), split or [pattern.times], strict=False):
            if times:
                result.append(_Placed(pattern, domain, times))
                left = domains[domain]
                domains[domain] = None if left is None else left - times
    return result


def _lost(
    level: Level, plan: Plan, placed: Sequence[_Placed]
) -> Iterator[tuple[str, int, dict[int, int]]]:
    """Yield each loss: its name, how many hosts are alike, and lost hosts by place in `placed`."""
    if level == "host":
        first: dict[tuple[object, ...], int] = {}
        alike: Counter[int] = Counter()
        for place, each in enumerate(placed):
            key = (each.pattern.host, each.pattern.counts)
            alike[first.setdefault(key, place)] += each.times
        for place, number in alike.items():
            yield placed[place].pattern.host, number, {place: 1}
        return
    domains: dict[str, dict[int, int]] = {}
    for place, each in enumerate(placed):
        zone, rack = each.domain
        if name := zone if level == "zone" else rack and "/".join(filter(None, (zone, rack))):
            domains.setdefault(name, {})[place] = each.times
    for name, lost in domains.items():
        yield name, 1, lost


def _displaced(placed: Sequence[_Placed], lost: Mapping[int, int]) -> Counter[str]:
    """Return the replicas on the lost hosts, by demand."""
    found: Counter[str] = Counter()
    for place, times in lost.items():
        for name, count in placed[place].pattern.counts:
            found[name] += times * count
    return found


def _outcome(
    level: Level,
    plan: Plan,
    placed: Sequence[_Placed],
    lost: Mapping[int, int],
    *,
    search: bool,
) -> Refit:
    """Return where the displaced replicas go."""
    kinds = {kind.name: kind for kind in plan.problem.hosts}
    sizes = {demand.name: demand.size for demand in plan.problem.demands}
    rooms = []
    for place, each in enumerate(placed):
        if remaining := each.times - lost.get(place, 0):
            free = list(kinds[each.pattern.host].capacity)
            for name, count in each.pattern.counts:
                free = [room - count * size for room, size in zip(free, sizes[name], strict=True)]
            counts = dict(each.pattern.counts)
            rooms.append(Room(each.pattern.host, tuple(free), counts, remaining, {}))
    domains = {placed[place].domain for place in lost} if level != "host" else set()
    spare = [
        Room(kind.name, kind.capacity, {}, number, {})
        for kind in sorted(kinds.values(), key=lambda kind: kind.price)
        if (number := _unused(kind, plan, placed, domains, level)) != 0
    ]
    rules = Rules(plan.problem.demands, plan.service_of, _allowed(level, plan))
    return refit(_displaced(placed, lost), rooms, spare, rules, search=search)


def _unused(
    kind: HostKind, plan: Plan, placed: Sequence[_Placed], lost: set[Domain], level: Level
) -> int | None:
    """Return how many hosts of a kind exist beside those used, outside the lost domain."""
    used = Counter[Domain]()
    for each in placed:
        if each.pattern.host == kind.name:
            used[each.domain] += each.times
    zones = {zone for zone, _ in lost} if level == "zone" else set()
    total = 0
    for domain in {(host.zone, host.rack) for host in plan.groups[kind.name]}:
        if domain in lost or domain[0] in zones:
            continue
        counts = [host.count for host in plan.groups[kind.name] if (host.zone, host.rack) == domain]
        if None in counts:
            return None
        total += max(0, sum(count or 0 for count in counts) - used[domain])
    return total


def _allowed(level: Level, plan: Plan) -> dict[str, frozenset[str] | None]:
    """Return the kinds of hosts that each demand may go to.

    A demand is bound to its failure domain as long as that is there.
    """
    if level == "host":
        return {demand.name: demand.hosts for demand in plan.problem.demands}
    hosts = {service.name: service.hosts for service in plan.services}
    return {
        demand.name: None
        if (allowed := hosts[plan.service_of[demand.name]]) is None
        else frozenset(kind for kind, own in plan.groups.items() if own[0].name in allowed)
        for demand in plan.problem.demands
    }
