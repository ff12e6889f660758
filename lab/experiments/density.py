"""How many instances one host carries: memory for each, and start latency against their number."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.results import Sample
from lab.statistics import slope

if TYPE_CHECKING:
    from lab.experiments.base import Tell
    from lab.profiles import Density, Profile
    from lab.results import Unit
    from lab.targets.base import Kind, Target
    from lab.worker import Worker

HEADLINE: tuple[str, Unit] = ("running", "integer")
TARGETS = ("container", "microvm")
STEPS = 20
_DEADLINE_SECONDS = 600.0
_SETTLE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of filling the host found; latencies in seconds, memory in bytes."""

    running: int
    start_latencies: list[float]
    available_bytes: int
    pss_bytes: int


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """The full profile fills the host with every kind; the quick one with the two that can."""
    return kind != "native" and (profile.name == "full" or target in TARGETS)


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """Start instances until a limit is met, ask each whether it still answers, stop them all."""
    limits = profile.density
    name = worker.target
    try:
        steps, stop = _fill(worker, limits, tell)
        tell(f"{name}: asking {steps[-1].running} instances")
        answering = worker.call(_DEADLINE_SECONDS, count_answering)
    finally:
        tell(f"{name}: stopping")
        teardown = worker.call(_DEADLINE_SECONDS, stop_all)
    tell(f"{name}: stopped at {steps[-1].running} ({stop})")

    def sample(metric: str, unit: Unit, value: float, position: int = 0) -> Sample:
        return Sample("density", name, metric, unit, number, value, position)

    def per_instance(source: str, values: list[int]) -> Sample:
        metric = f"memory-per-instance-{source}"
        if len(set(running)) < 2:
            why = f"{name} was stopped by {stop}: no second count to draw a line through"
            return Sample("density", name, metric, "byte", number, None, censored=why)
        return sample(metric, "byte", slope(running, values))

    running = [step.running for step in steps]
    available = [step.available_bytes for step in steps]
    pss = [step.pss_bytes for step in steps]
    latencies = [latency for step in steps for latency in step.start_latencies]
    return [
        *(sample("start-latency", "second", v, at) for at, v in enumerate(latencies)),
        *(
            sample("memory-available", "byte", v, at)
            for at, v in zip(running, available, strict=True)
        ),
        *(sample("memory-pss", "byte", v, at) for at, v in zip(running, pss, strict=True)),
        per_instance("available", [-value for value in available]),
        per_instance("pss", pss),
        Sample(
            "density", name, "running", "integer", number, running[-1], note=f"stopped by {stop}"
        ),
        sample("answering", "integer", answering),
        sample("teardown", "second", teardown),
    ]


def _fill(worker: Worker, limits: Density, tell: Tell) -> tuple[list[Step], str]:
    """The steps taken, and which limit ended them."""
    most = limits.machines if worker.call(10.0, kind_of) == "machine" else limits.containers
    stride = max(1, most // STEPS)
    steps = [worker.call(_DEADLINE_SECONDS, start_more, 0)]
    while (running := steps[-1].running) < most:
        tell(f"{worker.target}: {running} of {most} running")
        if steps[-1].available_bytes < limits.memory_floor_bytes:
            return steps, f"memory floor of {limits.memory_floor_bytes >> 20} MiB"
        slowest = max(steps[-1].start_latencies, default=0.0)
        if slowest > limits.start_limit_seconds:
            return steps, f"start latency above {limits.start_limit_seconds:.0f} s"
        steps.append(worker.call(_DEADLINE_SECONDS, start_more, min(stride, most - running)))
    return steps, f"count of {most}"


def kind_of(target: Target) -> Kind:
    """What kind of target the worker has."""
    return target.kind


def start_more(target: Target, count: int) -> Step:
    """Start `count` more, one after the other, and read the memory once they have settled."""
    latencies = []
    for _ in range(count):
        instance = target.start()
        target.running.append(instance)
        reached_ns = instance.reached("first-instruction")
        if reached_ns is None:
            raise LabError(f"{target.name} has no first instruction.")
        latencies.append((reached_ns - instance.t0_ns) / 1e9)
    for instance in target.running[len(target.running) - count :]:
        instance.reached("ready")
    time.sleep(_SETTLE_SECONDS)
    pss_bytes = sum(_pss_bytes(pid) for instance in target.running for pid in instance.pids())
    return Step(len(target.running), latencies, available_memory_bytes(), pss_bytes)


def count_answering(target: Target) -> int:
    """How many of those running answer a request."""
    answering = 0
    for instance in target.running:
        try:
            instance.ask()
        except (LabError, OSError):
            continue
        answering += 1
    return answering


def stop_all(target: Target) -> float:
    """Stop every one; seconds until the last was gone."""
    begin_ns = time.monotonic_ns()
    while target.running:
        target.running.pop().stop()
    return (time.monotonic_ns() - begin_ns) / 1e9


def available_memory_bytes() -> int:
    """The host's MemAvailable. (proc_meminfo(5))"""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise LabError("/proc/meminfo has no MemAvailable: this kernel is too old to measure on.")


def _pss_bytes(pid: int) -> int:
    """A process's proportional set size: shared pages divided among their users. (proc(5))"""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
