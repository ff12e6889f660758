"""Plans that place services as a test says, without a solver; amounts are whole numbers."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from lab.planning.measured import MeasuredFigure
from lab.planning.plan import Plan
from lab.planning.problem import Demand, HostKind, Problem
from lab.planning.solution import Certificate, Pattern, Solution
from lab.planning.wrapping import Uncertain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.planning.inventory import Host, Service

RESOURCE = "memory_bytes"


def placed(
    services: Sequence[Service],
    hosts: Sequence[Host],
    *patterns: tuple[str, Mapping[str, int], int],
    groups: Mapping[str, tuple[Host, ...]] | None = None,
) -> Plan:
    """Return a plan with these patterns: the kind of host, its replicas, and how many there are.

    `groups` has the hosts of each kind, where a kind has several.
    """
    kinds = groups or {host.name: (host,) for host in hosts}
    resources = tuple(dict.fromkeys(name for host in hosts for name in host.capacity))
    cost = sum(times for _, _, times in patterns)
    return Plan(
        services=tuple(services),
        hosts=tuple(hosts),
        objective="hosts",
        problem=Problem(
            resources,
            tuple(
                Demand(
                    service.name,
                    service.replicas,
                    tuple(int(service.requests.get(name, 0)) for name in resources),
                    service.per_host,
                    service.apart_from,
                    service.hosts,
                )
                for service in services
            ),
            tuple(
                HostKind(kind, tuple(int(own[0].capacity[name]) for name in resources))
                for kind, own in kinds.items()
            ),
        ),
        solution=Solution(
            tuple(Pattern(kind, tuple(counts.items()), times) for kind, counts, times in patterns),
            cost,
            cost,
            Certificate((Fraction(0),) * len(services), (Fraction(0),) * len(kinds), ()),
            timed_out=False,
        ),
        steps=(Fraction(1),) * len(resources),
        price_step=Fraction(1),
        groups=kinds,
        service_of={service.name: service.name for service in services},
    )


def figure(
    centre: float,
    *samples: float,
    half_width: float | None = None,
    resource: str = RESOURCE,
    target: str = "container",
) -> MeasuredFigure:
    """Return a measured figure: of several rounds, or of one with an interval, or without."""
    return MeasuredFigure(
        run=Path("results/run"),
        target=target,
        resource=resource,
        centre=centre,
        low=None if half_width is None else centre - half_width,
        high=None if half_width is None else centre + half_width,
        samples=samples or (centre,),
        emulated=False,
    )


def uncertain(service: str, measured: MeasuredFigure, factor: float = 1.0) -> Uncertain:
    """Return the part of a service's request that is that figure."""
    return Uncertain(service, measured.resource, factor, measured)
