"""Wrapping: how replicas are isolated, and what that adds to what they request.

    container           each replica is a container
    vm                  each replica is a machine of its own
    mixed               each service says which of the two
    containers-in-vms   containers, in machines of one size, whose number is planned first

The overhead of a container and of a machine is that of an idle instance in a run. Machines of
containers are planned as services of their own: the containers are packed into the fewest machines,
and machines with the same content are replicas. What must not share a host is not in machines that
share one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.planning import amounts, measured
from lab.planning.inventory import CPUS, DISK_BYTES, MEMORY_BYTES, Host, Service
from lab.planning.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from lab.planning.measured import MeasuredFigure
    from lab.planning.plan import Plan
    from lab.planning.plan_schema import WrappingTable

Figures = dict[str, measured.MeasuredFigure]  # by resource


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A part of a service's request that was measured: `factor` times the figure.

    The rest of the request is as stated. For machines of containers the service is the machine.
    """

    service: str
    resource: str
    factor: float
    figure: MeasuredFigure


@dataclass(frozen=True, slots=True)
class Stated:
    """A service before it is wrapped: its requests contain `head_room`, a share of what is stated.

    `uncertain` is what was measured of a measured service, which was wrapped when it was measured.
    `wrapping` is the service's own, where each has one. `growth` is a share a month.
    """

    service: Service
    uncertain: tuple[Uncertain, ...] = ()
    is_measured: bool = False
    growth: float = 0.0
    head_room: float = 0.0
    wrapping: str | None = None


@dataclass(frozen=True, slots=True)
class Wrapped:
    """Services as they are planned, what of them was measured, and how much each grows a month.

    `inside` is the plan of containers in machines, if there are such.
    """

    services: tuple[Service, ...]
    uncertain: tuple[Uncertain, ...]
    growth: Mapping[str, float]
    inside: Plan | None = None


def add_overhead(
    service: Service,
    overhead: Mapping[str, MeasuredFigure],
    offered: Collection[str],
    factor: float = 1.0,
) -> tuple[Service, tuple[Uncertain, ...]]:
    """Return the service with measured amounts added to its requests, and what was added.

    Resources that no host offers are left out: a plan without disks needs no disk. `factor` is
    1 plus the head-room of the service.
    """
    used = {resource: figure for resource, figure in overhead.items() if resource in offered}
    requests = dict(service.requests)
    for resource, figure in used.items():
        requests[resource] = requests.get(resource, 0.0) + factor * figure.centre
    parts = (Uncertain(service.name, resource, factor, each) for resource, each in used.items())
    return replace(service, requests=requests), tuple(parts)


def wrap(
    path: Path,
    table: WrappingTable | None,
    stated: Sequence[Stated],
    offered: Collection[str],
    *,
    deadline_seconds: float,
) -> Wrapped:
    """Return the services with the overhead of their wrapping. Raise InvalidConfig.

    `path` is the plan file, `offered` the resources of the hosts.
    """
    is_mixed = table is not None and table.kind == "mixed"
    for each in stated:
        if each.wrapping is not None and not is_mixed:
            raise InvalidConfig(
                f"{path}: service {each.service.name}: wrapping is for services of"
                ' kind = "mixed" in [wrapping]: remove it.'
            )
    if table is None:
        return _joined([(each, each.service, ()) for each in stated])
    overheads: dict[str, Figures] = {
        kind: measured.figures(f"{path}: wrapping: run", path.parent / table.run, target)
        for kind, target in (("container", table.container), ("vm", table.machine))
        if table.kind in {kind, "mixed", "containers-in-vms"}
    }
    machine = _machine(path, table)
    if table.kind == "containers-in-vms":
        return _in_machines(stated, machine, overheads, offered, deadline_seconds)
    wrapped: list[tuple[Stated, Service, tuple[Uncertain, ...]]] = []
    for each in stated:
        kind = each.wrapping or table.kind
        if kind == "mixed":
            raise InvalidConfig(
                f'{path}: service {each.service.name}: wrapping is missing: with kind = "mixed"'
                " each service states container or vm."
            )
        overhead = {} if each.is_measured else overheads[kind]
        wrapped.append((each, *add_overhead(each.service, overhead, offered, 1 + each.head_room)))
    return _joined(wrapped)


def _joined(wrapped: Sequence[tuple[Stated, Service, tuple[Uncertain, ...]]]) -> Wrapped:
    return Wrapped(
        services=tuple(service for _, service, _ in wrapped),
        uncertain=tuple(
            part for stated, _, added in wrapped for part in (*stated.uncertain, *added)
        ),
        growth={service.name: stated.growth for stated, service, _ in wrapped},
    )


def _machine(path: Path, table: WrappingTable) -> dict[str, float]:
    """Return the size of a machine of containers, by resource; empty for other wrappings."""
    values = {
        CPUS: ("machine-cpus", table.machine_cpus),
        MEMORY_BYTES: ("machine-memory", table.machine_memory),
        DISK_BYTES: ("machine-disk", table.machine_disk),
    }
    machine = {
        resource: amounts.amount(f"{path}: wrapping: {key}", resource, value)
        for resource, (key, value) in values.items()
        if value is not None
    }
    if table.kind != "containers-in-vms":
        if machine:
            key = values[next(iter(machine))][0]
            raise InvalidConfig(
                f'{path}: wrapping: {key} is for kind = "containers-in-vms": remove it.'
            )
    elif CPUS not in machine or MEMORY_BYTES not in machine:
        raise InvalidConfig(
            f"{path}: wrapping: containers-in-vms need the size of a machine: state machine-cpus"
            " and machine-memory."
        )
    return machine


def _in_machines(
    stated: Sequence[Stated],
    machine: Mapping[str, float],
    overheads: Mapping[str, Figures],
    offered: Collection[str],
    deadline_seconds: float,
) -> Wrapped:
    """Return the machines that the containers need, as services with a machine's overhead."""
    containers = [
        each.service
        if each.is_measured
        else add_overhead(each.service, overheads["container"], machine, 1 + each.head_room)[0]
        for each in stated
    ]
    inside = _pack_into_machines(containers, machine, deadline_seconds)
    growth = {each.service.name: each.growth for each in stated}
    services: list[Service] = []
    uncertain: list[Uncertain] = []
    growths: dict[str, float] = {}
    for service, content in _machines(containers, machine, inside):
        wrapped, parts = add_overhead(service, overheads["vm"], offered)
        services.append(wrapped)
        uncertain += parts
        growths[service.name] = max(growth[name] for name in content)
    return Wrapped(tuple(services), tuple(uncertain), growths, inside)


def _pack_into_machines(
    containers: Sequence[Service], machine: Mapping[str, float], deadline_seconds: float
) -> Plan:
    """Return the plan of containers in machines. Raise InvalidConfig for placements it can't keep.

    Where a machine runs is planned later, so that its containers can't choose hosts or domains.
    """
    for service in containers:
        if service.spread is not None or service.hosts is not None:
            key = "spread" if service.spread is not None else "hosts"
            raise InvalidConfig(
                f"{service.name}: {key} can't be kept with containers-in-vms, which places"
                " machines: remove it, or wrap otherwise."
            )
    return make_plan(containers, [Host("machine", machine)], deadline_seconds=deadline_seconds)


def _machines(
    containers: Sequence[Service], machine: Mapping[str, float], inside: Plan
) -> list[tuple[Service, dict[str, int]]]:
    """Return a service for each pattern of the inner plan, and its containers by name."""
    limits = {each.name: each.per_host for each in containers}
    apart = {
        each.name: each.apart_from
        | {other.name for other in containers if each.name in other.apart_from}
        for each in containers
    }
    contents = {
        f"machine {number}": (dict(pattern.counts), pattern.times)
        for number, pattern in enumerate(inside.solution.patterns, 1)
    }
    return [
        (
            Service(
                name=name,
                replicas=times,
                requests=dict(machine),
                per_host=_per_host(content, limits),
                apart_from=frozenset(
                    other
                    for other, (others, _) in contents.items()
                    if other != name and _are_apart(content, others, apart, limits)
                ),
            ),
            content,
        )
        for name, (content, times) in contents.items()
    ]


def _per_host(content: Mapping[str, int], limits: Mapping[str, int | None]) -> int | None:
    """Return how many machines with that content may share a host; None is any number."""
    most = [
        limit // count for name, count in content.items() if (limit := limits[name]) is not None
    ]
    return max(1, min(most)) if most else None


def _are_apart(
    content: Mapping[str, int],
    others: Mapping[str, int],
    apart: Mapping[str, frozenset[str]],
    limits: Mapping[str, int | None],
) -> bool:
    """Return True if two machines may share no host, by their containers.

    Two that hold the same service with a limit for each host are kept apart, although some limits
    would allow more.
    """
    if any(limits[name] is not None for name in content.keys() & others.keys()):
        return True
    return any(apart[name] & others.keys() for name in content)
