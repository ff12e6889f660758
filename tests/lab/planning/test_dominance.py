"""Dominated kinds of hosts: which are left out, and that the proof holds with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from lab.planning.certificate import check
from lab.planning.dominance import without_dominated
from lab.planning.problem import Demand, HostKind, Problem
from lab.planning.solution import to_document
from lab.planning.solver import solve
from tests.lab.planning.problems import FOREVER, cheapest, tiny_problems

if TYPE_CHECKING:
    from collections.abc import Sequence

WEB = Demand("web", 4, (2, 2))
SMALL = HostKind("small", (4, 4), 3)


def kept(hosts: Sequence[HostKind], *demands: Demand) -> list[str]:
    problem = Problem(("cpus", "memory"), demands or (WEB,), tuple(hosts))
    return [host.name for host in without_dominated(problem).problem.hosts]


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (HostKind("dear", (4, 4), 4), ["small"]),
        (HostKind("less", (4, 3), 3), ["small"]),
        (HostKind("same", (4, 4), 3), ["small"]),
        (HostKind("more", (5, 4), 3), ["more"]),
        (HostKind("cheap", (4, 4), 2), ["cheap"]),
        (HostKind("other", (5, 3), 3), ["small", "other"]),
        (HostKind("large", (8, 8), 4), ["small", "large"]),
        (HostKind("few", (8, 8), 1, 3), ["small", "few"]),
        (HostKind("enough", (8, 8), 1, 4), ["enough"]),
        (HostKind("dear and few", (4, 4), 4, 2), ["small"]),
    ],
)
def test_a_kind_is_left_out_if_another_is_better(other: HostKind, names: list[str]) -> None:
    assert kept([SMALL, other]) == names
    assert set(kept([other, SMALL])) == (set(names) if other.name != "same" else {"same"})


def test_a_kind_stays_for_those_that_may_run_on_no_other() -> None:
    hosts = [SMALL, HostKind("dear", (4, 4), 4)]
    legacy = Demand("legacy", 1, (1, 1), hosts=frozenset({"dear"}))
    assert kept(hosts, WEB, legacy) == ["small", "dear"]
    assert kept(hosts, WEB, replace(legacy, replicas=0)) == ["small"]
    assert kept(hosts, WEB, replace(legacy, hosts=frozenset({"small", "dear"}))) == ["small"]


def test_a_chain_of_kinds_leaves_the_best() -> None:
    hosts = [HostKind(f"h{price}", (9 - price, 9 - price), price) for price in (5, 4, 3, 2)]
    problem = Problem(("cpus", "memory"), (replace(WEB, replicas=6),), tuple(hosts))
    assert without_dominated(problem).stands_in == (0, 0, 0, 0)
    solution = solve(problem)
    assert solution.cost == 4
    assert len(solution.certificate.resource_prices) == 4
    assert check(problem, to_document(problem, solution)) == 4


@given(tiny_problems(limited=True))
def test_no_cheapest_plan_is_lost(problem: Problem) -> None:
    reduced, stands_in = without_dominated(problem)
    assert cheapest(reduced) == cheapest(problem)
    for place, substitute in enumerate(stands_in):
        assert reduced.hosts[substitute].price <= problem.hosts[place].price


@given(tiny_problems())
def test_the_proof_holds_for_all_kinds(problem: Problem) -> None:
    twins = tuple(
        replace(host, name=f"{host.name} 2", price=host.price + 1) for host in problem.hosts
    )
    demands = tuple(replace(demand, hosts=None) for demand in problem.demands)
    more = Problem(problem.resources, demands, (*twins, *problem.hosts))
    assert len(without_dominated(more).problem.hosts) <= len(problem.hosts)
    solution = solve(more, deadline_seconds=FOREVER)
    assert check(more, to_document(more, solution)) == solution.bound
