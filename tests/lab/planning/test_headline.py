"""The finding of a plan in a line."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from lab.planning.headline import headline, money, remarks
from lab.planning.plan import Plan
from lab.planning.solution import Pattern
from tests.lab.planning.planned import SERVICES, plan, plan_file


def hosts(number: int, *, cost: int | None = None, bound: int, **keys: object) -> Plan:
    cost = number if cost is None else cost
    pattern = Pattern("node", (("web", 1),), number)
    return plan((pattern,), cost=cost, bound=bound, **keys)  # type: ignore[arg-type]


def certified(made: Plan, bound: Fraction) -> Plan:
    """Return the plan with prices that prove this bound."""
    prices = (bound / 5, Fraction(0))
    certificate = replace(made.solution.certificate, replica_prices=prices)
    return replace(made, solution=replace(made.solution, certificate=certificate))


@pytest.mark.parametrize(
    ("bound", "shown"),
    [
        (Fraction(364, 10), "36.4"),
        (Fraction(37), "37"),
        (Fraction(3604, 100), "36.04"),
        (Fraction(36999, 1000), "36.9"),
        (36 + Fraction(1, 10**7), "36.000000"),
    ],
)
def test_an_optimal_plan_names_what_cannot_be(bound: Fraction, shown: str) -> None:
    made = certified(hosts(37, bound=37), bound)
    assert headline(made) == f"37 hosts; 36 can't be (bound {shown})."


def test_one_host_needs_no_proof() -> None:
    assert headline(hosts(1, bound=1)) == "1 host."


def test_a_plan_with_a_gap_names_the_bound() -> None:
    assert headline(hosts(37, bound=36)) == "37 hosts; at least 36 (gap 2.78 %)."
    late = hosts(37, bound=36, timed_out=True)
    expected = "37 hosts; at least 36 (gap 2.78 %, the deadline ended the search)."
    assert headline(late) == expected


def test_a_cheapest_plan_names_its_price() -> None:
    made = certified(hosts(3, cost=30, bound=30, objective="price"), Fraction(299, 10))
    expected = "3 hosts for 1,500 EUR a month; less can't be (bound 1,495 EUR)."
    assert headline(made, "EUR") == expected
    dear = hosts(3, cost=30, bound=25, objective="price")
    assert headline(dear) == "3 hosts for 1,500 a month; at least 1,250 (gap 20 %)."


def test_money_has_decimals_where_it_needs_them() -> None:
    assert money(1234567.0, "EUR") == "1,234,567 EUR"
    assert money(0.126) == "0.13"
    assert money(0.0) == "0"


def test_a_small_price_is_not_zero() -> None:
    assert money(0.096) == "0.096"
    assert money(0.003, "EUR") == "0.003 EUR"


def test_remarks_say_what_the_bound_is_of() -> None:
    assert remarks(plan_file(notes=("Emulated.",)), plan()) == ("Emulated.",)
    spread = tuple(replace(SERVICES[0], name=name, spread="zone") for name in "abcd")
    assert remarks(plan_file(services=spread), plan()) == ()  # it holds for every split
    assert remarks(plan_file(inside=plan()), plan()) == (
        "The bound is that of 2 machines, into which the containers were packed; fewer can't be.",
    )
    assert remarks(plan_file(inside=hosts(1, bound=1)), plan()) == (
        "The bound is that of 1 machine, into which the containers were packed; fewer can't be.",
    )
    assert remarks(plan_file(inside=plan(bound=1)), plan()) == (
        "The bound is that of 2 machines, into which the containers were packed; there must be at"
        " least 1.",
    )
