"""The finding of a plan in a line: how many hosts, and how many are proven to be too few."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab import units
from lab.language.message import Message, joined
from lab.language.punctuation import COMMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.planning.plan import Plan
    from lab.planning.plan_file import PlanFile

_MOST_DIGITS = 6
_MOST_NAMES = 3
_SMALL_PRICE = 0.1
_ROUNDING = 1e-9  # of a fraction that became a float


def headline(plan: Plan, currency: str = "") -> Message:
    """Return the number of hosts, their price where it was the objective, and what is proven."""
    hosts = host_number(plan.host_count)
    if plan.objective == "price":
        price = money(plan.cost, currency)
        hosts = Message("{hosts} for {price} a month", hosts=hosts, price=price)
    if not plan.is_optimal:
        return Message(
            "{hosts}; at least {bound} (gap {gap}{ended}).",
            hosts=hosts,
            bound=money(plan.bound, currency)
            if plan.objective == "price"
            else f"{plan.bound:,.0f}",
            gap=units.share(plan.solution.gap),
            ended=Message(", the deadline ended the search") if plan.solution.timed_out else "",
        )
    if plan.objective == "price":
        bound = money(plan.fractional_bound, currency)
        return Message("{hosts}; less can't be (bound {bound}).", hosts=hosts, bound=bound)
    if plan.host_count == 1:
        return Message("{hosts}.", hosts=hosts)
    fewer = plan.host_count - 1
    return Message(
        "{hosts}; {fewer:,} can't be (bound {bound}).",
        hosts=hosts,
        fewer=fewer,
        bound=_above(fewer, plan.fractional_bound),
    )


def remarks(file: PlanFile, plan: Plan) -> tuple[str, ...]:
    """Return the sentences that every output shows: what was emulated, and what the bound is of."""
    result = list(file.notes)
    if file.inside is not None:
        machines = file.inside.host_count
        inside = (
            Message("fewer can't be")
            if file.inside.is_optimal
            else Message("there must be at least {bound:,.0f}", bound=file.inside.bound)
        )
        result.append(
            Message(
                "The bound is that of {machines}, into which the containers were packed; {inside}.",
                machines=Message("1 machine")
                if machines == 1
                else Message("{count:,} machines", count=machines),
                inside=inside,
            )
        )
    return tuple(result)


def host_number(number: int) -> Message:
    """Return a number of hosts in words."""
    return Message("1 host") if number == 1 else Message("{count:,} hosts", count=number)


def some(names: Sequence[str]) -> str:
    """Return the first of the names, and how many there are more."""
    first = joined(COMMA, names[:_MOST_NAMES])
    if len(names) <= _MOST_NAMES:
        return first
    return Message("{names} and {count:,} more", names=first, count=len(names) - _MOST_NAMES)


def money(amount: float, currency: str = "") -> str:
    """Return a price with its currency, without decimals if it is whole.

    Below a tenth it has three digits: a price of a thousandth is not zero.
    """
    is_small = 0 < abs(amount) < _SMALL_PRICE
    text = f"{amount:.3g}" if is_small else f"{amount:,.2f}".removesuffix(".00")
    return f"{text} {currency}".rstrip()


def _above(fewer: int, bound: float) -> str:
    """Return the bound rounded down, with as many decimals as show that it is above `fewer`."""
    for digits in range(1, _MOST_DIGITS):
        shown = math.floor(bound * 10**digits + _ROUNDING) / 10**digits
        if shown > fewer:
            return f"{shown:,.{digits}f}".removesuffix(".0")
    return f"{bound:,.{_MOST_DIGITS}f}"
