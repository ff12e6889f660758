"""Checks of services and hosts before a plan is made: each fault is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.planning.amounts import described, label, written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.planning.host_groups import HostGroup
    from lab.planning.inventory import Host, Service
    from lab.planning.problem import HostKind

MOST_REPLICAS = MOST_HOSTS = 10**9
_MOST_AMOUNT = 1e100  # that of all hosts together is then finite, and so is a price


def check_services(services: Sequence[Service], hosts: Sequence[Host]) -> None:
    """Raise InvalidConfig for a service that can't be in any plan."""
    names = {service.name for service in services}
    kinds = {host.name for host in hosts}
    seen = set()
    for service in services:
        name = service.name
        if not name.strip():
            raise InvalidConfig("A service has an empty name: give it one.")
        if name in seen:
            raise InvalidConfig(
                f"The service {name} is given twice: give each a name of its own, or its import a"
                " prefix."
            )
        seen.add(name)
        if not 0 <= service.replicas <= MOST_REPLICAS:
            raise InvalidConfig(
                f"{name}: replicas is {service.replicas}: it must be from 0 to {MOST_REPLICAS:,}."
            )
        if service.per_host is not None and service.per_host < 1:
            raise InvalidConfig(f"{name}: per-host is {service.per_host}: it must be at least 1.")
        if service.max_skew < 1:
            raise InvalidConfig(f"{name}: max-skew is {service.max_skew}: it must be at least 1.")
        if service.spread not in {None, "zone", "rack"}:
            raise InvalidConfig(f"{name}: spread is {service.spread!r}: use zone or rack.")
        if name in service.apart_from:
            raise InvalidConfig(
                f"{name} is to be apart from itself: write per-host = 1 for one replica on a host."
            )
        if unknown := sorted(service.apart_from - names):
            raise InvalidConfig(f"{name} is to be apart from {unknown[0]}, which is no service.")
        if unknown := sorted((service.hosts or frozenset()) - kinds):
            raise InvalidConfig(f"{name} is to run on {unknown[0]}, which is no host.")
        _check_amounts(name, service.requests)


def check_hosts(hosts: Sequence[Host]) -> None:
    """Raise InvalidConfig for a host that can't be in any plan."""
    seen = set()
    for host in hosts:
        if not host.name.strip():
            raise InvalidConfig("A host has an empty name: give it one.")
        if (place := (host.name, host.zone, host.rack)) in seen:
            raise InvalidConfig(
                f"The host {host.name} is given twice for the same zone and rack: give one count,"
                " or its import a prefix."
            )
        seen.add(place)
        if host.count is not None and not 0 <= host.count <= MOST_HOSTS:
            raise InvalidConfig(
                f"{host.name}: count is {host.count}: it must be from 0 to {MOST_HOSTS:,}."
            )
        if not 0 < host.price <= _MOST_AMOUNT:
            raise InvalidConfig(
                f"{host.name}: price is {host.price:g}: it must be above zero, and at most"
                f" {_MOST_AMOUNT:g}."
            )
        _check_amounts(host.name, host.capacity)


def _check_amounts(name: str, amounts: Mapping[str, float]) -> None:
    for resource, amount in amounts.items():
        if not 0 <= amount <= _MOST_AMOUNT:
            raise InvalidConfig(
                f"{name}: {label(resource)} is {amount:g}: it must be from 0 to {_MOST_AMOUNT:g}."
            )


def check_fit(
    service: Service,
    size: Sequence[int],
    resources: Sequence[str],
    groups: Sequence[HostGroup],
    kinds: Sequence[HostKind],
) -> None:
    """Raise InvalidConfig if no host is large enough, or too few hosts may carry the service.

    `size` is a replica's in integers, `kinds` are the groups in integers.
    """
    allowed = [
        (group, kind)
        for group, kind in zip(groups, kinds, strict=True)
        if service.hosts is None or group.hosts[0].name in service.hosts
    ]
    if not allowed:
        raise InvalidConfig(f"{service.name} may run on no host: name one that exists in hosts.")
    for place, resource in enumerate(resources):
        if size[place] > max(kind.capacity[place] for _, kind in allowed):
            most = max(group.capacity.get(resource, 0.0) for group, _ in allowed)
            raise InvalidConfig(_too_large(service, resource, most))
    fitting = [
        kind
        for _, kind in allowed
        if all(each <= room for each, room in zip(size, kind.capacity, strict=True))
    ]
    if not fitting:
        needed = ", ".join(
            described(resource, service.requests[resource])
            for place, resource in enumerate(resources)
            if size[place]
        )
        raise InvalidConfig(f"{service.name} is larger than any of its hosts: none has {needed}.")
    if service.per_host is None or any(kind.available is None for kind in fitting):
        return
    room = service.per_host * sum(kind.available or 0 for kind in fitting)
    if room < service.replicas:
        raise InvalidConfig(
            f"{service.name} has {service.replicas:,} replicas, at most {service.per_host} on a"
            f" host: its hosts have room for {room:,}."
        )


def _too_large(service: Service, resource: str, most: float) -> str:
    """Return a sentence on a service that requests more of a resource than any host has."""
    amount = service.requests[resource]
    requested, available = described(resource, amount), written(resource, most)
    if written(resource, amount) == available:  # they differ in digits that are not shown
        requested, available = f"{amount:,.12g} of {label(resource)}", f"{most:,.12g}"
    return f"{service.name} requests {requested}, more than any of its hosts has ({available})."
