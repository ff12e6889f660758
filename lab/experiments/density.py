"""How many instances one host carries, and what stops it.

Instances are started one after the other. At each step: what a start took, how far MemAvailable
fell, the PSS of all their processes, and how fast those that are asked answer. At the end every one
is asked once, then all are kept busy answering for a while; then all are stopped. The filling ends
at the profile's count, or at the first limit of the host, which is named.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.experiments import limits
from lab.experiments.percentiles import percentile
from lab.process_usage import memory
from lab.results import Sample
from lab.statistics import slope

if TYPE_CHECKING:
    from lab.experiments.base import Tell
    from lab.profiles import Density, Profile
    from lab.results import Unit
    from lab.targets.base import Instance, Kind, Target
    from lab.worker import Worker

HEADLINE: tuple[str, Unit] = ("running", "integer")
RUNS_WORKLOADS = False
STEPS = 20
_DEADLINE_SECONDS = 600.0
_SETTLE_SECONDS = 0.2
_ASKED = 50
_LOADED_SECONDS = 2.0
_PERCENTILES = (50, 99)


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of filling the host found; latencies in seconds, memory in bytes.

    `limit` names what of the host is used up, `failed` says why a start failed; both are empty if
    the filling can go on.
    """

    running: int
    start_latencies: list[float]
    answer_latencies: list[float]
    available_bytes: int
    pss_bytes: int
    limit: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Load:
    """What instances answer that are asked without a pause: latencies in seconds, and the rate."""

    latencies: list[float]
    per_second: float


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Every kind that is an instance of its own."""
    return kind != "native"


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """Start instances until a limit is met, ask each whether it still answers, stop them all."""
    bounds = profile.density
    name = worker.target
    try:
        steps, stop = _fill(worker, bounds, tell)
        tell(f"{name}: asking {steps[-1].running} instances")
        answering = worker.call(_DEADLINE_SECONDS, count_answering)
        load = worker.call(_DEADLINE_SECONDS, keep_busy, _LOADED_SECONDS)
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
        *(
            sample(f"answer-p{share}", "second", percentile(step.answer_latencies, share),
                   step.running)
            for step in steps if step.answer_latencies for share in _PERCENTILES
        ),
        *(
            sample(f"loaded-answer-p{share}", "second", percentile(load.latencies, share))
            for share in _PERCENTILES if load.latencies
        ),
        sample("loaded-answers", "/s", load.per_second),
        per_instance("available", [-value for value in available]),
        per_instance("pss", pss),
        Sample(
            "density", name, "running", "integer", number, running[-1], note=f"stopped by {stop}"
        ),
        sample("answering", "integer", answering),
        sample("teardown", "second", teardown),
    ]  # fmt: skip


def _fill(worker: Worker, bounds: Density, tell: Tell) -> tuple[list[Step], str]:
    """The steps taken, and which limit ended them."""
    most = bounds.machines if worker.call(10.0, kind_of) == "machine" else bounds.containers
    stride = max(1, most // STEPS)
    begin = time.monotonic()
    steps = [worker.call(_DEADLINE_SECONDS, start_more, 0)]
    while (running := steps[-1].running) < most:
        if stop := _stop(steps[-1], bounds):
            return steps, stop
        if time.monotonic() - begin > bounds.fill_seconds:
            return steps, f"count of what {bounds.fill_seconds:.0f} s are enough to start"
        tell(f"{worker.target}: {running} of {most} running")
        steps.append(worker.call(_DEADLINE_SECONDS, start_more, min(stride, most - running)))
    return steps, _stop(steps[-1], bounds) or f"count of {most}"


def _stop(step: Step, bounds: Density) -> str:
    """Which limit the step met, in words; empty if none."""
    if step.limit:
        return step.limit
    if step.failed:
        named = limits.of_failure(step.failed)
        return f"{named or 'a start that failed'}: {step.failed}"
    if step.available_bytes < bounds.memory_floor_bytes:
        return f"memory floor of {bounds.memory_floor_bytes >> 20} MiB"
    if max(step.start_latencies, default=0.0) > bounds.start_limit_seconds:
        return f"start latency above {bounds.start_limit_seconds:.0f} s"
    return ""


def kind_of(target: Target) -> Kind:
    """What kind of target the worker has."""
    return target.kind


def start_more(target: Target, count: int) -> Step:
    """Start `count` more, one after the other, and read the memory once they have settled.

    A start that fails, or a limit of the host that is near, ends it early.
    """
    latencies: list[float] = []
    limit = failed = ""
    before = len(target.running)
    for _ in range(count):
        try:
            latencies.append(_start_one(target))
        except LabError as error:
            failed = str(error).removesuffix(".")
        limit = limits.met(target.settings.scratch) if failed or not len(latencies) % 50 else ""
        if failed or limit:
            break
    for instance in target.running[before:]:
        instance.reached("ready")
    time.sleep(_SETTLE_SECONDS)
    return Step(
        running=len(target.running),
        start_latencies=latencies,
        answer_latencies=[_ask(instance) for instance in _some(target.running)],
        available_bytes=available_memory_bytes(),
        pss_bytes=memory(pid for instance in target.running for pid in instance.pids()).pss,
        limit=limit or limits.met(target.settings.scratch),
        failed=failed,
    )


def _start_one(target: Target) -> float:
    instance = target.start()
    target.running.append(instance)
    try:
        reached_ns = instance.reached("first-instruction")
    except LabError:
        target.running.pop().stop()
        raise
    if reached_ns is None:
        raise LabError(f"{target.name} has no first instruction.")
    return (reached_ns - instance.t0_ns) / 1e9


def _some(running: list[Instance]) -> list[Instance]:
    """So many of them as are asked at a step, evenly spread over those that run."""
    return running[:: max(1, len(running) // _ASKED)]


def _ask(instance: Instance) -> float:
    """Seconds until it answered."""
    begin_ns = time.monotonic_ns()
    return (instance.ask() - begin_ns) / 1e9


def keep_busy(target: Target, seconds: float) -> Load:
    """Ask all of them in turn, without a pause, for so long."""
    begin, latencies = time.monotonic(), []
    while target.running and time.monotonic() < begin + seconds:
        for instance in target.running:
            with suppress(LabError, OSError):
                latencies.append(_ask(instance))
            if time.monotonic() >= begin + seconds:
                break
    return Load(latencies, len(latencies) / (time.monotonic() - begin))


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
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise LabError("/proc/meminfo has no MemAvailable: this kernel is too old to measure on.")
