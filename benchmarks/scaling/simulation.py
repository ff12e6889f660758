"""Speed: simulated requests a second on one core, with Knative's autoscaler.

    python -m benchmarks.scaling.simulation

A light load finds a free slot for every request. A congested one has as many instances as it needs
to be busy for 99 % of the time, so that most requests wait. An overloaded one loses requests to a
full queue and to their patience. All three are simulated exactly; the test of exactness is
tests/lab/scaling/test_queueing.py. The time is that of the CPU: on an idle core, the same as on the
wall.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import harness
from benchmarks.harness import Finding, quiet_host, turns
from lab.scaling import scenario, simulation
from lab.statistics.estimates import estimate_median

if TYPE_CHECKING:
    from collections.abc import Iterator

WANTED_PER_SECOND = 1e6
SECONDS = 60
_SCENARIO = """\
duration = "{seconds} s"
objective = "1 s"
arrivals = {{ shape = "constant", rate = "{rate} /s" }}
service = {{ distribution = "exponential", mean = "10 ms" }}
instance = {{ concurrency = 100{limits} }}
autoscaler = {{ kind = "knative", max-scale = {most}, initial-scale = {first} }}
[[variant]]
name = "container"
start = {{ distribution = "fixed", value = "20 ms" }}
"""


class Load(NamedTuple):
    """A load: requests per second, and at most so many instances of 100 slots."""

    name: str
    rate: int
    most: int
    first: int
    limits: str = ""


LOADS = (
    Load("light", 50_000, 0, 8),
    Load("congested", 49_500, 5, 5),
    Load("overloaded", 60_000, 5, 5, ', queue = 5000, patience = "1 s"'),
)


def main() -> int:
    """Measure each load in every round; print the rates and whether they are met."""
    options = harness.parser(__doc__, rounds=5).parse_args()
    rates: dict[str, list[float]] = {load.name: [] for load in LOADS}
    with quiet_host() as scratch:
        made = {load.name: _written(load, scratch) for load in LOADS}
        for number, _, load in turns(LOADS, options.rounds, options.seed, warm_up=True):
            harness.say(f"round {number}: {load.name}")
            rate = measure(made[load.name], number)
            if number != harness.WARM_UP:
                rates[load.name].append(rate)
    harness.write_record(options.out, {"seconds": SECONDS, "requests_per_second": rates})
    return harness.report(_findings(rates))


def measure(path: Path, number: int) -> float:
    """Return the requests that one replication simulates in a second of CPU time."""
    loaded = scenario.load(path)
    begin = time.process_time()
    record = simulation.replicate(loaded, loaded.variants[0], max(number, 0), 1)
    return int(record.arrived.sum()) / (time.process_time() - begin)


def _written(load: Load, folder: Path) -> Path:
    path = folder / f"{load.name}.toml"
    path.write_text(
        _SCENARIO.format(
            seconds=SECONDS, rate=load.rate, most=load.most, first=load.first, limits=load.limits
        )
    )
    return path


def _findings(rates: dict[str, list[float]]) -> Iterator[Finding]:
    for name, values in rates.items():
        estimate = estimate_median(values)
        text = f"{name:10} {estimate.centre or 0:12,.0f} requests/s{harness.interval(estimate, 0)}"
        met = (estimate.centre or 0) >= WANTED_PER_SECOND
        yield Finding.at_least(text, WANTED_PER_SECOND, met=met)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield Finding(f"largest resident memory {megabytes:,.0f} MiB")


if __name__ == "__main__":
    sys.exit(main())
