"""Demands of a packing problem: services, or their parts in each failure domain.

A service that is spread gets a quota of replicas for each domain: as even as the domains' hosts
allow, and within `max_skew`. Each part then runs on the hosts of its domain only. The solver may
divide the replicas otherwise, within `max_skew`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.planning.problem import Demand, Split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.planning.host_groups import HostGroup
    from lab.planning.inventory import Service
    from lab.planning.problem import HostKind

Domain = tuple[str, str]


def make_demands(
    services: Sequence[Service],
    groups: Sequence[HostGroup],
    sizes: Mapping[str, tuple[int, ...]],
    kinds: Sequence[HostKind],
) -> tuple[tuple[Demand, ...], tuple[Split, ...], dict[str, str]]:
    """Return the demands, the splits of those spread, and the service of each by demand's name.

    `sizes` has a replica's size by service, `kinds` the groups in integers. Raise InvalidConfig if
    a service can't be spread as it asks.
    """
    parts: dict[str, list[tuple[str, int, frozenset[str] | None]]] = {}
    splits: list[Split] = []
    shift = 0
    taken = {service.name for service in services}
    for service in services:
        if service.spread is None:
            parts[service.name] = [(service.name, service.replicas, _allowed(service, groups))]
            continue
        room = _room_by_domain(service, groups, sizes[service.name], kinds)
        quotas = _quotas(service, {domain: most for domain, (most, _) in room.items()}, shift)
        shift += service.replicas
        parts[service.name] = [
            (_part_name(service, domain, taken), quota, room[domain][1])
            for domain, quota in quotas.items()
        ]
        splits.append(Split(tuple(name for name, _, _ in parts[service.name]), service.max_skew))
    enemies = _apart(services)
    demands = tuple(
        Demand(
            name=part,
            replicas=quota,
            size=sizes[service.name],
            per_host=service.per_host,
            apart_from=frozenset(
                other for enemy in enemies[service.name] for other, _, _ in parts[enemy]
            ),
            hosts=allowed,
        )
        for service in services
        for part, quota, allowed in parts[service.name]
    )
    services_of = {part: name for name, own in parts.items() for part, _, _ in own}
    return demands, tuple(splits), services_of


def quotas(replicas: int, room: Sequence[int | None], shift: int = 0) -> list[int] | None:
    """Return the most even split over domains with that much room each; None if it is too little.

    Room None is without limit. Of equal domains, those from place `shift` on get the odd replicas.
    """
    result = [0] * len(room)
    left = replicas
    open_places = set(range(len(room)))
    while left and open_places:
        share, odd = divmod(left, len(open_places))
        full = {
            place
            for place in open_places
            if (most := room[place]) is not None and most - result[place] <= share
        }
        if full:
            for place in full:
                added = (room[place] or 0) - result[place]
                result[place] += added
                left -= added
            open_places -= full
            continue
        order = sorted(open_places, key=lambda place: (place - shift) % len(room))
        for rank, place in enumerate(order):
            result[place] += share + (rank < odd)
        left = 0
    return None if left else result


def _quotas(service: Service, room: Mapping[Domain, int | None], shift: int) -> dict[Domain, int]:
    """Return the number of replicas in each domain. Raise InvalidConfig if no split is allowed."""
    word = f"{service.spread}s"
    if len(room) < 2:
        raise InvalidConfig(
            f"{service.name} is to be spread over {word}, but its hosts are in {len(room)}: give"
            f" hosts in two or more {word}."
        )
    split = quotas(service.replicas, list(room.values()), shift % len(room))
    if split is None:
        raise InvalidConfig(
            f"{service.name} has {service.replicas:,} replicas, more than its hosts in all {word}"
            " have room for."
        )
    if (skew := max(split) - min(split)) > service.max_skew:
        raise InvalidConfig(
            f"{service.name} can't be spread over {len(room)} {word} with max-skew"
            f" {service.max_skew}: the hosts of the smallest leave a skew of {skew:,}."
        )
    return dict(zip(room, split, strict=True))


def _room_by_domain(
    service: Service,
    groups: Sequence[HostGroup],
    size: tuple[int, ...],
    kinds: Sequence[HostKind],
) -> dict[Domain, tuple[int | None, frozenset[str]]]:
    """Return how many replicas each domain's hosts have room for, if alone, and these hosts."""
    room: dict[Domain, tuple[int | None, frozenset[str]]] = {}
    allowed = _allowed(service, groups)
    for group, kind in zip(groups, kinds, strict=True):
        domain = group.domain(service.spread or "")
        each = replicas_on(kind.capacity, size, service.per_host, service.replicas)
        if domain is None or not each or (allowed is not None and group.name not in allowed):
            continue
        most, names = room.get(domain, (0, frozenset()))
        added = None if group.count is None else each * group.count
        total = None if most is None or added is None else most + added
        room[domain] = total, names | {group.name}
    return room


def replicas_on(
    capacity: Sequence[int], size: Sequence[int], per_host: int | None, most: int
) -> int:
    """Return how many replicas fit on a host of that capacity, at most `most`."""
    limits = [room // each for room, each in zip(capacity, size, strict=True) if each]
    return max(0, min([*limits, most] if per_host is None else [*limits, most, per_host]))


def _allowed(service: Service, groups: Sequence[HostGroup]) -> frozenset[str] | None:
    """Return the names of the groups that may carry the service; None is all."""
    if service.hosts is None:
        return None
    return frozenset(group.name for group in groups if group.hosts[0].name in service.hosts)


def _part_name(service: Service, domain: Domain, taken: set[str]) -> str:
    """Return a name for the service's part in the domain that no other demand has."""
    name = f"{service.name}@{'/'.join(filter(None, domain))}"
    while name in taken:
        name += "'"
    taken.add(name)
    return name


def _apart(services: Sequence[Service]) -> dict[str, frozenset[str]]:
    """Return the services that share no host with each service, in both directions."""
    names = {service.name for service in services}
    apart: dict[str, set[str]] = {name: set() for name in names}
    for service in services:
        for other in service.apart_from & names:  # a service without replicas has no demand
            apart[service.name].add(other)
            apart[other].add(service.name)
    return {name: frozenset(others) for name, others in apart.items()}
