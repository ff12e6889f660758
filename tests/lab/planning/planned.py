"""Plans and plan files for tests that need no solver."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from lab.planning.inventory import CPUS, MEMORY_BYTES, Host, Service
from lab.planning.measured import MeasuredFigure
from lab.planning.plan import Objective, Plan
from lab.planning.plan_file import PlanFile
from lab.planning.problem import Demand, HostKind, Problem
from lab.planning.solution import Certificate, Pattern, Solution
from lab.planning.wrapping import Uncertain

GIB = 2**30
SERVICES = (
    Service("web", 5, {CPUS: 1.0, MEMORY_BYTES: 1.0 * GIB}),
    Service("db", 1, {CPUS: 1.0, MEMORY_BYTES: 6.0 * GIB}),
)
HOSTS = (Host("node", {CPUS: 4.0, MEMORY_BYTES: 8.0 * GIB}, price=50.0),)
PROBLEM = Problem(
    (CPUS, MEMORY_BYTES),
    (Demand("web", 5, (1, 1)), Demand("db", 1, (1, 6))),
    (HostKind("node", (4, 8)),),
)
PATTERNS = (
    Pattern("node", (("web", 3),), 1),
    Pattern("node", (("web", 2), ("db", 1)), 1),
)


def plan(
    patterns: tuple[Pattern, ...] = PATTERNS,
    *,
    cost: int = 2,
    bound: int = 2,
    objective: Objective = "hosts",
    timed_out: bool = False,
    services: tuple[Service, ...] = SERVICES,
    problem: Problem = PROBLEM,
) -> Plan:
    """Return a plan of five web servers and a database: two hosts of 4 CPUs and 8 GiB."""
    prices = (Fraction(1, 4), *[Fraction(1, 4)] * (len(problem.demands) - 1))
    return Plan(
        services=services,
        hosts=HOSTS,
        objective=objective,
        problem=problem,
        solution=Solution(
            patterns,
            cost,
            bound,
            Certificate(prices, (Fraction(0),), ((Fraction(0), Fraction(0)),)),
            timed_out=timed_out,
        ),
        steps=(Fraction(1), Fraction(GIB)),
        price_step=Fraction(50 if objective == "price" else 1),
        groups={"node": HOSTS},
        service_of={demand.name: demand.name for demand in problem.demands},
    )


def uncertain(service: str = "db", *, emulated: bool = False) -> Uncertain:
    """Return a service's memory that was measured in a run."""
    figure = MeasuredFigure(
        Path("results/a-run"), "vm", MEMORY_BYTES, 2.0 * GIB, None, None, (2.0 * GIB,), emulated
    )
    return Uncertain(service, MEMORY_BYTES, 1.0, figure)


def plan_file(
    *parts: Uncertain,
    notes: tuple[str, ...] = (),
    services: tuple[Service, ...] = SERVICES,
    inside: Plan | None = None,
) -> PlanFile:
    """Return the plan file of `plan`."""
    return PlanFile(
        path=Path("somewhere/plan.toml"),
        services=services,
        hosts=HOSTS,
        objective="hosts",
        currency="EUR",
        growth={service.name: 0.0 for service in services},
        uncertain=parts,
        inside=inside,
        notes=notes,
    )
