"""The plan file: services, hosts and how replicas are wrapped, ready to be planned.

Reading follows one order: amounts are checked and measured ones looked up, head-room is added to
requests and kept free on hosts, replicas grow to the month that is planned for, and the overhead of
the wrapping is added last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.language.message import Message
from lab.planning import amounts, measured
from lab.planning.inventory import Host, Service
from lab.planning.plan import DEADLINE_SECONDS
from lab.planning.plan_checks import MOST_REPLICAS
from lab.planning.plan_schema import amounts_of, read_tables
from lab.planning.wrapping import Stated, Uncertain, add_overhead, wrap

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from lab.planning.plan import Objective, Plan
    from lab.planning.plan_imports import Imported
    from lab.planning.plan_schema import HostTable, PlanTable, PlanTables, ServiceTable

MOST_MONTHS = 120
MOST_GROWTH = 10.0  # a month; faster growth is a slip of the unit
_ROUNDING = 1e-12  # keeps 100 replicas that grow by 10 % at 110


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan file that was read.

    `services` are as they are planned: with head-room, grown and wrapped. `uncertain` names the
    parts of their requests that were measured. `growth` has each service's growth a month, as a
    share. `inside` is the plan of containers in machines, if there are such. `notes` has sentences
    that every output shows.
    """

    path: Path
    services: tuple[Service, ...]
    hosts: tuple[Host, ...]
    objective: Objective
    currency: str
    growth: Mapping[str, float]
    uncertain: tuple[Uncertain, ...]
    inside: Plan | None
    notes: tuple[str, ...]


def read(path: Path, *, deadline_seconds: float = DEADLINE_SECONDS) -> PlanFile:
    """Read a plan file. The deadline is that of packing containers into machines.

    Raise InvalidConfig, a sentence with the key, if something in it is unusable.
    """
    tables = read_tables(path)
    plan = tables.plan
    if not 0 <= plan.months <= MOST_MONTHS:
        raise InvalidConfig(
            f"{path}: plan: months is {plan.months}: it must be from 0 to {MOST_MONTHS}."
        )
    imported, left_out = _imports(path, tables)
    hosts = _all_hosts(path, tables, imported)
    _check_domains(path, tables.services, hosts)
    offered = frozenset(resource for host in hosts for resource in host.capacity)
    growth = _share(f"{path}: plan: growth", plan.growth, most=MOST_GROWTH)
    stated = [_service(path, table, growth, offered) for table in tables.services]
    stated += [
        Stated(service, growth=growth, wrapping=each.wrapping)
        for each in imported
        for service in each.inventory.services
    ]
    wrapped = wrap(
        path,
        tables.wrapping,
        [_grown(path, each, plan.months) for each in stated],
        offered,
        deadline_seconds=deadline_seconds,
    )
    return PlanFile(
        path=path,
        services=wrapped.services,
        hosts=tuple(hosts),
        objective=plan.objective,
        currency=plan.currency,
        growth=wrapped.growth,
        uncertain=wrapped.uncertain,
        inside=wrapped.inside,
        notes=(*_emulation(wrapped.uncertain), *left_out),
    )


def _imports(path: Path, tables: PlanTables) -> tuple[list[Imported], tuple[str, ...]]:
    if not tables.imports:
        return [], ()
    from lab.planning.plan_imports import read_imports

    return read_imports(path, tables.imports)


def _all_hosts(path: Path, tables: PlanTables, imported: Iterable[Imported]) -> list[Host]:
    """Return the hosts of the file and of its imports, without what is kept free on them."""
    free = 1 - _share(f"{path}: plan: head-room", tables.plan.head_room, most=1.0)
    stated = [host for table in tables.hosts for host in _hosts(path, table, tables.plan)]
    found = [host for each in imported for host in each.inventory.hosts]
    return [*stated, *(_reduced(host, free) for host in found)]


def _hosts(path: Path, table: HostTable, plan: PlanTable) -> list[Host]:
    """Return the hosts of a table: one kind, or one for each of its zones."""
    where = f"{path}: host {table.name}"
    if table.zone and table.zones is not None:
        raise InvalidConfig(f"{where}: it has both zone and zones: remove one of them.")
    if table.zones is not None and not (table.zones and all(table.zones)):
        raise InvalidConfig(f"{where}: zones must name one zone or more.")
    capacity = amounts_of(where, table)
    if not capacity:
        raise InvalidConfig(f"{where}: it offers nothing: state cpus, memory or another resource.")
    head_room = plan.head_room if table.head_room is None else table.head_room
    free = 1 - _share(f"{where}: head-room", head_room, most=1.0)
    if table.reserved is not None:
        capacity = _without(where, capacity, amounts_of(f"{where}: reserved", table.reserved))
    host = _reduced(
        Host(table.name, capacity, table.price, table.count, table.zone, table.rack), free
    )
    return [host] if table.zones is None else [replace(host, zone=zone) for zone in table.zones]


def _without(
    where: str, capacity: Mapping[str, float], reserved: Mapping[str, float]
) -> dict[str, float]:
    """Return what is left of a host. Raise InvalidConfig if more is reserved than it has."""
    left = {resource: amount - reserved.get(resource, 0.0) for resource, amount in capacity.items()}
    for resource, amount in reserved.items():
        if left.get(resource, -amount) < 0:
            raise InvalidConfig(
                f"{where}: reserved: {amounts.described(resource, amount)} is more than it has."
            )
    return left


def _reduced(host: Host, free: float) -> Host:
    """Return the host with that share of its capacity."""
    capacity = {resource: amount * free for resource, amount in host.capacity.items()}
    return replace(host, capacity=capacity)


def _service(path: Path, table: ServiceTable, growth: float, offered: Collection[str]) -> Stated:
    """Return a service with its head-room, before it grows and is wrapped."""
    where = f"{path}: service {table.name}"
    if table.spread is None and table.max_skew != 1:
        raise InvalidConfig(f'{where}: max-skew without spread: add spread = "zone" or "rack".')
    if not 0 <= table.replicas <= MOST_REPLICAS:
        raise InvalidConfig(
            f"{where}: replicas is {table.replicas}: it must be from 0 to {MOST_REPLICAS:,}."
        )
    head_room = _share(f"{where}: head-room", table.head_room)
    stated = amounts_of(where, table)
    service = Service(
        name=table.name,
        replicas=table.replicas,
        requests={resource: amount * (1 + head_room) for resource, amount in stated.items()},
        per_host=table.per_host,
        apart_from=frozenset(table.apart_from),
        spread=table.spread,
        max_skew=table.max_skew,
        hosts=None if table.hosts is None else frozenset(table.hosts),
    )
    uncertain: tuple[Uncertain, ...] = ()
    if table.measured is not None:
        figures = _measured(f"{where}: measured", path.parent, table.measured)
        unstated = {resource: each for resource, each in figures.items() if resource not in stated}
        service, uncertain = add_overhead(service, unstated, offered, 1 + head_room)
    elif not stated:
        raise InvalidConfig(
            f"{where}: it requests nothing: state cpus, memory or another resource, or measured."
        )
    own_growth = _share(f"{where}: growth", table.growth, most=MOST_GROWTH)
    return Stated(
        service=service,
        uncertain=uncertain,
        is_measured=table.measured is not None,
        growth=growth if table.growth is None else own_growth,
        head_room=head_room,
        wrapping=table.wrapping,
    )


def _measured(key: str, folder: Path, text: str) -> dict[str, measured.MeasuredFigure]:
    """Return the figures that `measured = "RUN/TARGET"` names."""
    run, _, target = text.rpartition("/")
    if not run or not target:
        raise InvalidConfig(f'{key}: {text!r} is no run\'s folder and target: write "RUN/TARGET".')
    return measured.figures(key, folder / run, target)


def _grown(path: Path, stated: Stated, months: int) -> Stated:
    """Return the service with its replicas after that many months. Raise InvalidConfig."""
    replicas = stated.service.replicas
    grown = math.ceil(replicas * (1 + stated.growth) ** months * (1 - _ROUNDING))
    if grown > MOST_REPLICAS:
        raise InvalidConfig(
            f"{path}: service {stated.service.name}: in {months} months its {replicas:,} replicas"
            f" grow to more than {MOST_REPLICAS:,}: lower months or growth."
        )
    return replace(stated, service=replace(stated.service, replicas=max(replicas, grown)))


def _check_domains(path: Path, tables: Sequence[ServiceTable], hosts: Sequence[Host]) -> None:
    """Raise InvalidConfig if a service asks for more failure domains than its hosts are in."""
    for table in tables:
        if table.min_domains is None:
            continue
        where = f"{path}: service {table.name}: min-domains"
        if table.spread is None:
            raise InvalidConfig(f'{where} without spread: add spread = "zone" or "rack".')
        if table.min_domains < 1:
            raise InvalidConfig(f"{where} is {table.min_domains}: it must be at least 1.")
        domains = {
            (host.zone, host.rack if table.spread == "rack" else "")
            for host in hosts
            if host.count != 0
            and (table.hosts is None or host.name in table.hosts)
            and (host.zone if table.spread == "zone" else host.rack)
        }
        if len(domains) < table.min_domains:
            number = f"{len(domains)} {table.spread}{'' if len(domains) == 1 else 's'}"
            raise InvalidConfig(f"{where} is {table.min_domains}, but its hosts are in {number}.")


def _share(key: str, value: float | str | None, *, most: float = math.inf) -> float:
    return 0.0 if value is None else amounts.share(key, value, most=most)


def _emulation(uncertain: Iterable[Uncertain]) -> list[str]:
    """Return a sentence for each run with emulated machines."""
    runs = dict.fromkeys(each.figure.run.name for each in uncertain if each.figure.emulated)
    return [
        Message(
            "The machines of {run} were emulated (TCG): what they take under KVM is not known.",
            run=run,
        )
        for run in runs
    ]
