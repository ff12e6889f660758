"""Draws: how long it takes to tell how often a plan of 50 services holds.

    python -m benchmarks.planning.draws

plans 50 services of several replicas, each with a CPU and a memory that were measured in a dozen
rounds, on five kinds of hosts, and draws the measured figures 1,000 times. A round ends with the
fewest hosts that hold in 95 % of the draws.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

from benchmarks.harness import Finding, parser, report, write_record
from lab.planning.inventory import CPUS, MEMORY_BYTES, Host, Service
from lab.planning.measured import MeasuredFigure
from lab.planning.plan import make_plan
from lab.planning.safe_plan import find_safe_plan
from lab.planning.uncertainty import Draws
from lab.planning.wrapping import Uncertain
from lab.statistics.estimates import estimate_median

SERVICES, ROUNDS, DRAWS = 50, 12, 1000
GIB = 2.0**30
LIMIT_SECONDS = 30.0


def main() -> int:
    """Plan, draw, and print how long each took."""
    options = parser(__doc__, rounds=5).parse_args()
    services, uncertain = measured_services(random.Random(options.seed))
    hosts = [
        Host(f"{cpus} CPUs, {cpus * gib} GiB", {CPUS: float(cpus), MEMORY_BYTES: cpus * gib * GIB})
        for cpus, gib in ((16, 2), (16, 4), (32, 4), (48, 8), (64, 4))
    ]
    plan = make_plan(services, hosts, deadline_seconds=LIMIT_SECONDS)
    assess_seconds, search_seconds = [], []
    for seed in range(options.rounds):
        begin = time.perf_counter()
        draws = Draws(uncertain, draws=DRAWS, seed=seed)
        reliability = draws.assess(plan, services)
        assess_seconds.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        safe = find_safe_plan(plan, draws, deadline_seconds=LIMIT_SECONDS)
        search_seconds.append(time.perf_counter() - begin)
    write_record(options.out, {"assess": assess_seconds, "search": search_seconds})
    safe_hosts = "no plan" if safe is None else f"{safe.plan.host_count} hosts"
    slowest = max(assess_seconds)
    assessed, searched = (
        estimate_median(values).centre for values in (assess_seconds, search_seconds)
    )
    return report(
        [
            Finding(
                f"{plan.host_count} hosts hold in {reliability.share:.1%} of {DRAWS} draws;"
                f" {safe_hosts} in 95 %"
            ),
            Finding.at_most(
                f"draws: {assessed:.2f} s, the slowest of {options.rounds} {slowest:.2f} s",
                LIMIT_SECONDS,
                met=slowest <= LIMIT_SECONDS,
                unit=" s",
            ),
            Finding(f"search for hosts that hold in 95 %: {searched:.2f} s"),
        ]
    )


def measured_services(chance: random.Random) -> tuple[list[Service], list[Uncertain]]:
    """Return the services and what of them was measured: their CPUs and memory."""
    services, uncertain = [], []
    for number in range(SERVICES):
        name = f"service {number}"
        requests = {}
        for resource, low, high in ((CPUS, 0.1, 4.0), (MEMORY_BYTES, 0.25 * GIB, 16 * GIB)):
            true = chance.uniform(low, high)
            samples = tuple(true * chance.lognormvariate(0, 0.05) for _ in range(ROUNDS))
            centre = float(f"{sorted(samples)[ROUNDS // 2]:.4g}")
            figure = MeasuredFigure(
                Path("results/run"), name, resource, centre, None, None, samples, emulated=False
            )
            requests[resource] = centre
            uncertain.append(Uncertain(name, resource, 1.0, figure))
        services.append(Service(name, chance.randint(1, 100), requests))
    return services, uncertain


if __name__ == "__main__":
    raise SystemExit(main())
