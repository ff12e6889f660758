"""The fewest hosts that hold in most draws: plans for larger requests, until one is safe enough.

Every measured figure is raised to the same quantile of its draws, and the plan is made anew. The
first quantile that holds often enough gives the plan. It is safe as it was drawn, but it is not
proven that no plan with fewer hosts is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.planning.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.planning.inventory import Service
    from lab.planning.plan import Plan
    from lab.planning.uncertainty import Draws, Reliability

SHARE = 0.95
_QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 1.0)


@dataclass(frozen=True, slots=True)
class SafePlan:
    """A plan that holds in the wanted share of draws, made with figures at that quantile."""

    plan: Plan
    quantile: float
    reliability: Reliability


def find_safe_plan(
    plan: Plan, draws: Draws, *, share: float = SHARE, deadline_seconds: float = 60.0
) -> SafePlan | None:
    """Return the plan with the fewest hosts, of those tried, that holds in that share of draws.

    None if none does: services that grow so much may fit no host, or the hosts are too few.
    """
    seconds = deadline_seconds / len(_QUANTILES).bit_length()  # bisection tries so many
    found: list[SafePlan] = []

    def is_safe(quantile: float) -> bool:
        safer = _plan_at(plan, draws, quantile, seconds)
        if safer is None or safer.reliability.share < share:
            return False
        found.append(safer)
        return True

    _first(_QUANTILES, is_safe)
    return min(found, key=lambda each: (each.plan.cost, each.quantile), default=None)


def _first(values: tuple[float, ...], fulfils: Callable[[float], bool]) -> None:
    """Call `fulfils` for values in the order of bisection for the first that does."""
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) // 2
        if fulfils(values[middle]):
            high = middle
        else:
            low = middle + 1


def _plan_at(plan: Plan, draws: Draws, quantile: float, seconds: float) -> SafePlan | None:
    """Return the plan for all figures at that quantile; None if there is none."""
    above = draws.quantiles(quantile)
    added: dict[str, dict[str, float]] = {}
    for part in draws.uncertain:
        requests = added.setdefault(part.service, {})
        more = part.factor * above[part.figure]
        requests[part.resource] = requests.get(part.resource, 0.0) + more
    services = tuple(map(partial(_enlarged, added), plan.services))
    try:
        larger = make_plan(services, plan.hosts, objective=plan.objective, deadline_seconds=seconds)
    except InvalidConfig:
        return None
    return SafePlan(larger, quantile, draws.assess(larger, plan.services))


def _enlarged(added: dict[str, dict[str, float]], service: Service) -> Service:
    more = added.get(service.name)
    if not more:
        return service
    requests = {
        resource: service.requests.get(resource, 0.0) + more.get(resource, 0.0)
        for resource in {**service.requests, **more}
    }
    return replace(service, requests=requests)
