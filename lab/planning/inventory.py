"""Services and hosts, as a plan file states them or a reader finds them elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lab.language.message import Message

# Resources and their units; a plan may name further ones, counted in units of their own.
CPUS = "cpus"
MEMORY_BYTES = "memory_bytes"
DISK_BYTES = "disk_bytes"
NETWORK_BITS_PER_SECOND = "network_bits_per_second"
GPUS = "gpus"

_LEVELS = {"host": Message("host"), "rack": Message("rack"), "zone": Message("zone")}


@dataclass(frozen=True, slots=True)
class Service:
    """Equal replicas: what one of them takes, by resource, and where they may run.

    `per_host` is the most replicas on one host, None no limit; `apart_from` names services that
    share no host with it. `spread` is the failure domain over which replicas are spread, `zone` or
    `rack`, with at most `max_skew` replicas more in one domain than in another. `hosts` names the
    kinds of hosts that it may run on; None is all.
    """

    name: str
    replicas: int
    requests: Mapping[str, float]
    per_host: int | None = None
    apart_from: frozenset[str] = frozenset()
    spread: str | None = None
    max_skew: int = 1
    hosts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """Equal hosts: what one of them offers, by resource; its price, number, zone and rack.

    `count` None is any number. `price` is of any currency, for one host and month.
    """

    name: str
    capacity: Mapping[str, float]
    price: float = 1.0
    count: int | None = None
    zone: str = ""
    rack: str = ""


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """A line or record that a reader could not use, by number from 1, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """The services, hosts and broken lines that a reader found; some sources have no hosts."""

    services: tuple[Service, ...]
    hosts: tuple[Host, ...] = ()
    broken: tuple[BrokenLine, ...] = ()

    def renamed(self, service: Callable[[str], str], host: Callable[[str], str]) -> Inventory:
        """Return the same with other names, also where services name hosts and each other."""
        services = (
            replace(
                each,
                name=service(each.name),
                apart_from=frozenset(map(service, each.apart_from)),
                hosts=None if each.hosts is None else frozenset(map(host, each.hosts)),
            )
            for each in self.services
        )
        hosts = (replace(each, name=host(each.name)) for each in self.hosts)
        return Inventory(tuple(services), tuple(hosts), self.broken)


def level_name(level: str) -> Message:
    """Return the name of a failure domain's kind: host, rack or zone."""
    return _LEVELS[level]
