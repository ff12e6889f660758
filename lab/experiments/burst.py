"""How fast many start at once: latency and rate against how many were asked for.

The requests are made one after the other, as fast as the target takes them: a tool's commands and
the machines then come up side by side, while our own runtime, which starts in process, returns with
each container running. Latency counts from the first request.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from lab.errors import StartFailed
from lab.experiments.startup import REST_SECONDS
from lab.results.sample import Sample
from lab.statistics.percentiles import percentile

if TYPE_CHECKING:
    from lab.experiments.base import Tell
    from lab.experiments.profiles import Profile
    from lab.metrics import Unit
    from lab.targets.base import Instance, Kind, Target
    from lab.targets.worker import Worker

HEADLINE: tuple[str, Unit] = ("started-per-second", "/s")
RUNS_WORKLOADS = False
PERCENTILES = (50, 95, 99)
_DEADLINE_SECONDS = 600.0


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Every target of a kind of which the profile asks for any; emulated machines now and then."""
    if kind == "machine" and not profile.burst.machines:
        return False
    return profile.has_turn(kind, number)


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """1, 2, 4, … at once, up to the profile's most; no more once half would come too late."""
    machine = worker.call(10.0, is_machine)
    most = profile.burst.machines if machine else profile.burst.containers
    samples: list[Sample] = []
    count = 1
    while count <= most:
        tell(f"{worker.target}: {count} at once")
        latencies = worker.call(_DEADLINE_SECONDS, start_at_once, count)
        samples += _samples(worker.target, number, latencies)
        if percentile(latencies, 50) > profile.burst.limit_seconds:
            break
        count *= 2
    return samples


def _samples(target: str, number: int, latencies: list[float]) -> list[Sample]:
    count = len(latencies)
    spread = {f"latency-p{share}": percentile(latencies, share) for share in PERCENTILES}
    return [
        *(
            Sample("burst", target, metric, "second", number, value, count)
            for metric, value in spread.items()
        ),
        Sample("burst", target, "started-per-second", "/s", number, count / max(latencies), count),
    ]


def is_machine(target: Target) -> bool:
    """Whether the worker's target is one."""
    return target.kind == "machine"


def start_at_once(target: Target, count: int) -> list[float]:
    """Seconds from the first request until each one's first instruction. Raises StartFailed."""
    time.sleep(REST_SECONDS)
    with ExitStack() as stack:
        begin_ns = time.monotonic_ns()
        instances = [stack.enter_context(target.start()) for _ in range(count)]
        # Every one is waited for, since a line that nobody waits for is stamped when it is read.
        with ThreadPoolExecutor(count) as waiters:
            return [(at - begin_ns) / 1e9 for at in waiters.map(_first_instruction, instances)]


def _first_instruction(instance: Instance) -> int:
    reached_ns = instance.reached("first-instruction")
    if reached_ns is None:
        raise StartFailed("An instance has no first instruction.")
    return reached_ns
