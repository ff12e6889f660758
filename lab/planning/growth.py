"""Growth: the first month in which the services need more hosts than the plan has.

Replicas grow by a share a month, each service by its own. Months are searched by bisection: between
now and the month for which the sums of what is requested prove that the hosts are too few.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.planning.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.planning.inventory import Host, Service
    from lab.planning.plan import Plan

MOST_MONTHS = 120
_ROUNDING = 1e-12  # keeps 100 replicas that grow by 10 % at 110
_TOLERANCE = 1e-9  # relative


@dataclass(frozen=True, slots=True)
class Growth:
    """The month from which on the plan's hosts are too few, and what is then needed.

    `month` counts from now; None if they suffice for all `searched` months. `hosts` is the number
    that is then needed; None if no plan was found. Unless `is_exact`, it was not decided in time if
    the hosts suffice for that month and later ones.
    """

    month: int | None
    hosts: int | None
    searched: int
    is_exact: bool = True


def grown(services: Sequence[Service], growth: Mapping[str, float], months: int) -> list[Service]:
    """Return the services after that many months; `growth` is a share a month, by service."""
    return [
        replace(
            service,
            replicas=max(
                service.replicas,
                math.ceil(
                    service.replicas
                    * (1 + growth.get(service.name, 0.0)) ** months
                    * (1 - _ROUNDING)
                ),
            ),
        )
        for service in services
    ]


def find_end(
    plan: Plan,
    growth: Mapping[str, float],
    *,
    months: int = MOST_MONTHS,
    deadline_seconds: float = 60.0,
) -> Growth:
    """Return the first month, at most `months` from now, in which the plan's hosts are too few.

    For a plan of the lowest price it is the first month that costs more.
    """
    if not any(growth.get(service.name, 0.0) > 0 for service in plan.services):
        return Growth(None, None, months)
    seconds = deadline_seconds / (months.bit_length() + 1)  # bisection tries so many
    needed: dict[int, int | None] = {}
    proven: set[int] = set()

    def is_too_few(month: int) -> bool:
        begin = time.monotonic()
        try:
            later = make_plan(
                grown(plan.services, growth, month),
                plan.hosts,
                objective=plan.objective,
                deadline_seconds=seconds,
            )
        except InvalidConfig:
            needed[month] = None
            if time.monotonic() - begin < seconds:  # else the search ended with its time
                proven.add(month)
            return True
        needed[month] = later.host_count
        if later.bound > plan.cost * (1 + _TOLERANCE):
            proven.add(month)
        return later.cost > plan.cost * (1 + _TOLERANCE)

    low, high = 0, _month_beyond(plan, growth, months)
    proven.add(high)
    while high - low > 1:
        middle = (low + high) // 2
        if is_too_few(middle):
            high = middle
        else:
            low = middle
    if high > months:
        return Growth(None, None, months)
    if high not in needed:
        is_too_few(high)
    return Growth(high, needed[high], months, is_exact=high in proven)


def _month_beyond(plan: Plan, growth: Mapping[str, float], months: int) -> int:
    """Return the first month whose sums need more hosts than the plan has; at most months + 1."""
    for month in range(1, months + 1):
        services = grown(plan.services, growth, month)
        if _least_hosts(services, plan.hosts) > plan.host_count:
            return month
    return months + 1


def _least_hosts(services: Sequence[Service], hosts: Sequence[Host]) -> int:
    """Return the number of the largest hosts that the sums of what is requested need."""
    least = 0
    for resource in {resource for service in services for resource in service.requests}:
        largest = max((host.capacity.get(resource, 0.0) for host in hosts), default=0.0)
        total = math.fsum(
            service.replicas * service.requests.get(resource, 0.0) for service in services
        )
        if largest:
            least = max(least, math.ceil(total / largest * (1 - _TOLERANCE)))
    return least
