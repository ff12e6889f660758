"""Burst: latency and rate of many starts at once, over the number of instances.

The requests are made one after the other, as fast as the target accepts them. A tool's containers
and machines then start in parallel, while the lab's own runtime, which starts containers in
process, returns when each container runs. Latencies count from the first request.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from lab import metrics
from lab.errors import StartFailed
from lab.experiments.startup import REST_SECONDS
from lab.results.sample import sample
from lab.statistics.percentiles import percentile

if TYPE_CHECKING:
    from lab.experiments.base import ProgressCallback
    from lab.experiments.profiles import Profile
    from lab.metrics import Unit
    from lab.results.sample import Sample
    from lab.targets.base import Instance, Kind, Target
    from lab.targets.worker import Worker

HEADLINE: tuple[str, Unit] = ("started-per-second", "/s")
RUNS_WORKLOADS = False
PERCENTILES = (50, 95, 99)
_DEADLINE_SECONDS = 600.0


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Return True for the kinds that the profile includes; emulated machines join some rounds."""
    if kind == "machine" and not profile.burst.machines:
        return False
    return profile.has_turn(kind, number)


def measure(
    worker: Worker, number: int, profile: Profile, progress: ProgressCallback
) -> list[Sample]:
    """Start 1, 2, 4, … instances at once, up to the profile's maximum.

    Stop earlier once the median latency exceeds the profile's limit.
    """
    machine = worker.call(10.0, is_machine)
    maximum = profile.burst.machines if machine else profile.burst.containers
    samples: list[Sample] = []
    count = 1
    while count <= maximum:
        progress(f"{worker.target}: starting {count} at once")
        latencies = worker.call(_DEADLINE_SECONDS, start_at_once, count)
        samples += _samples(worker.target, number, latencies)
        if percentile(latencies, 50) > profile.burst.limit_seconds:
            break
        count *= 2
    return samples


def _samples(target: str, number: int, latencies: list[float]) -> list[Sample]:
    count = len(latencies)
    spread = {f"latency-p{share}": percentile(latencies, share) for share in PERCENTILES}
    values = {**spread, "started-per-second": count / max(latencies)}
    return [
        sample(metrics.find("burst", name), target, number, value, position=count)
        for name, value in values.items()
    ]


def is_machine(target: Target) -> bool:
    """Return True if the target is a machine; called in the worker."""
    return target.kind == "machine"


def start_at_once(target: Target, count: int) -> list[float]:
    """Return the seconds from the first request to the first instruction of each instance.

    Raise StartFailed.
    """
    time.sleep(REST_SECONDS)
    with ExitStack() as stack:
        begin_ns = time.monotonic_ns()
        instances = [stack.enter_context(target.start()) for _ in range(count)]
        # All are awaited in parallel: a line is stamped when it is read, not when it arrives.
        with ThreadPoolExecutor(count) as waiters:
            return [(at - begin_ns) / 1e9 for at in waiters.map(_first_instruction, instances)]


def _first_instruction(instance: Instance) -> int:
    reached_ns = instance.reached("first-instruction")
    if reached_ns is None:
        raise StartFailed("An instance did not report its first instruction.")
    return reached_ns
