"""Groups of hosts that are equal for every service: the kinds of hosts of a packing problem.

Hosts of the same capacity and price are one kind, whatever their names. Their zone and their rack
keep them apart only if a service is spread over zones or racks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.planning.quantization import decimal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.planning.inventory import Host, Service


@dataclass(frozen=True, slots=True)
class HostGroup:
    """Hosts that are equal for every service. `zone` and `rack` are empty where they don't matter.

    `count` None is any number.
    """

    name: str
    hosts: tuple[Host, ...]
    capacity: Mapping[str, float]
    price: float
    count: int | None
    zone: str
    rack: str

    def domain(self, spread: str) -> tuple[str, str] | None:
        """Return the group's failure domain, a zone or a rack; None if it is in none."""
        if spread == "zone":
            return (self.zone, "") if self.zone else None
        return (self.zone, self.rack) if self.rack else None


def group_hosts(
    services: Sequence[Service],
    hosts: Sequence[Host],
    resources: Sequence[str],
    *,
    by_price: bool,
) -> list[HostGroup]:
    """Return the groups, in the order of their first hosts, without hosts whose count is 0."""
    spreads = {service.spread for service in services if service.spread}
    choosy = [service for service in services if service.hosts is not None]
    members: dict[tuple[object, ...], list[Host]] = {}
    for host in hosts:
        if host.count == 0:
            continue
        key = (
            tuple(decimal(host.capacity.get(resource, 0.0)) for resource in resources),
            host.price if by_price else 0.0,
            host.zone if spreads else "",
            host.rack if "rack" in spreads else "",
            frozenset(each.name for each in choosy if host.name in (each.hosts or ())),
        )
        members.setdefault(key, []).append(host)
    names = _names(list(members.values()), with_zone=bool(spreads), with_rack="rack" in spreads)
    return [
        _group(name, alike, with_zone=bool(spreads), with_rack="rack" in spreads)
        for name, alike in zip(names, members.values(), strict=True)
    ]


def _group(name: str, alike: Sequence[Host], *, with_zone: bool, with_rack: bool) -> HostGroup:
    first = alike[0]
    counts = [host.count for host in alike]
    return HostGroup(
        name=name,
        hosts=tuple(alike),
        capacity=first.capacity,
        price=first.price,
        count=None if None in counts else sum(count or 0 for count in counts),
        zone=first.zone if with_zone else "",
        rack=first.rack if with_rack else "",
    )


def _names(groups: Sequence[Sequence[Host]], *, with_zone: bool, with_rack: bool) -> list[str]:
    """Return a name for each group, with the failure domain and a number where it is needed."""
    plain = [_name(alike) for alike in groups]
    names: list[str] = []
    for alike, name in zip(groups, plain, strict=True):
        zone = alike[0].zone if with_zone else ""
        rack = alike[0].rack if with_rack else ""
        where = "/".join(filter(None, (zone, rack)))
        longer = f"{name}@{where}" if where and plain.count(name) > 1 else name
        unique, number = longer, 1
        while unique in names:
            number += 1
            unique = f"{longer} ({number})"
        names.append(unique)
    return names


def _name(alike: Sequence[Host]) -> str:
    names = list(dict.fromkeys(host.name for host in alike))
    return names[0] if len(names) == 1 else f"{names[0]} +{len(names) - 1}"
