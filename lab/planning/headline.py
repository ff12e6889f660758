"""The finding of a plan in a line: how many hosts, and how many are proven to be too few."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab import units

if TYPE_CHECKING:
    from lab.planning.plan import Plan
    from lab.planning.plan_file import PlanFile

_MOST_DIGITS = 6
_ROUNDING = 1e-9  # of a fraction that became a float


def headline(plan: Plan, currency: str = "") -> str:
    """Return the number of hosts, their price where it was the objective, and what is proven."""
    hosts = f"{plan.host_count:,} host{'' if plan.host_count == 1 else 's'}"
    if plan.objective == "price":
        hosts += f" for {money(plan.cost, currency)} a month"
    if not plan.is_optimal:
        bound = money(plan.bound, currency) if plan.objective == "price" else f"{plan.bound:,.0f}"
        ended = ", the deadline ended the search" if plan.solution.timed_out else ""
        return f"{hosts}; at least {bound} (gap {units.share(plan.solution.gap)}{ended})."
    if plan.objective == "price":
        return f"{hosts}; less can't be (bound {money(plan.fractional_bound, currency)})."
    if plan.host_count == 1:
        return f"{hosts}."
    fewer = plan.host_count - 1
    return f"{hosts}; {fewer:,} can't be (bound {_above(fewer, plan.fractional_bound)})."


def remarks(file: PlanFile, plan: Plan) -> tuple[str, ...]:
    """Return the sentences that every output shows: what was emulated, and what the bound is of."""
    result = list(file.notes)
    if spread := [each.name for each in file.services if each.spread and each.replicas]:
        names = ", ".join(spread[:3]) + (f" and {len(spread) - 3} more" if spread[3:] else "")
        result.append(f"The bound is that of replicas split evenly over failure domains: {names}.")
    if file.inside is not None:
        machines = file.inside.host_count
        inside = (
            "fewer can't be"
            if file.inside.is_optimal
            else f"there must be at least {file.inside.bound:,.0f}"
        )
        result.append(
            f"The bound is that of {machines:,} machines, into which the containers were packed;"
            f" {inside}."
        )
    return tuple(result)


def money(amount: float, currency: str = "") -> str:
    """Return a price with its currency, without decimals if it is whole."""
    text = f"{amount:,.2f}".removesuffix(".00")
    return f"{text} {currency}".rstrip()


def _above(fewer: int, bound: float) -> str:
    """Return the bound rounded down, with as many decimals as show that it is above `fewer`."""
    for digits in range(1, _MOST_DIGITS):
        shown = math.floor(bound * 10**digits + _ROUNDING) / 10**digits
        if shown > fewer:
            return f"{shown:,.{digits}f}".removesuffix(".0")
    return f"{bound:,.{_MOST_DIGITS}f}"
