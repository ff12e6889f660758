"""Density: how many instances one host carries, and which limit ends the filling.

Instances are started one after the other. Each step measures the start latency, the fall of
MemAvailable, the PSS of all processes of the instances, and the answer latency of some instances.
At the end every instance is asked once, then all are kept busy answering for some seconds, then all
are stopped. The filling ends at the profile's count or at the first limit of the host, which is
recorded by name.

The memory of an instance depends on what the host held before (lab.host.kernel_costs), so those
costs are measured before and after each target. Each target's filling raises the costs of later
ones, so targets take turns from the smallest to the largest, and density is the last experiment.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lab import metrics, units
from lab.errors import LabError, StartFailed
from lab.experiments import host_limits
from lab.host import kernel_costs
from lab.host.process_usage import memory
from lab.results.sample import sample
from lab.statistics.estimates import slope
from lab.statistics.percentiles import percentile
from lab.targets.descriptor_keeper import DescriptorKeeper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.experiments.base import ProgressCallback
    from lab.experiments.profiles import Density, Profile
    from lab.metrics import Metric, Unit
    from lab.results.sample import Sample
    from lab.targets.base import Instance, Kind, Target
    from lab.targets.worker import Worker

HEADLINE: tuple[str, Unit] = ("running", "integer")
RUNS_WORKLOADS = False
# Targets that mount few file systems in the host's kernel come first; `container` fills longest.
LAST = ("lxc", "lxc-dir", "podman", "docker", "runc", "crun", "container")
_MIN_STEP = 20  # containers
_GROWTH = 4  # a step adds a quarter of the running instances, so that every filling has some points
_DEADLINE_SECONDS = 600.0
_STOP_SECONDS_EACH = 0.3
_DESCRIPTOR_SHARE = 0.7  # of the worker's file descriptors, above which a keeper takes some
_CHECK_EVERY = 50  # starts between two checks of all limits; memory is checked before each start
_SETTLE_SECONDS = 0.2
_ASKED = 50
_LOADED_SECONDS = 2.0
_PERCENTILES = (50, 99)
_POINTS_FOR_ENDS = 9


@dataclass(frozen=True, slots=True)
class Step:
    """The measurements of one step of the filling; latencies in seconds, memory in bytes.

    `limit` names the limit of the host that was reached, `failed` is the reason of a failed start;
    both are empty if the filling can continue.
    """

    running: int
    start_latencies: list[float]
    answer_latencies: list[float]
    available_bytes: int
    pss_bytes: int
    limit: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class KernelState:
    """The costs and other traces of the host's past at one moment."""

    costs: kernel_costs.Costs
    leftovers: kernel_costs.Leftovers

    def description(self) -> str:
        """Return the traces as text."""
        left = self.leftovers
        dying = "unknown" if left.dying_cgroups is None else f"{left.dying_cgroups:,}"
        return (
            f"dying cgroups {dying}, dentries {left.dentries:,}, connections {left.connections:,},"
            f" page cache {left.page_cache_bytes >> 20:,} MiB, slab {left.slab_bytes >> 20:,} MiB,"
            f" huge pages {left.anonymous_huge_bytes >> 20:,} MiB,"
            f" free in blocks of 2 MiB {left.free_in_large_blocks:.0%}"
        )


@dataclass(frozen=True, slots=True)
class Load:
    """Answers of instances that are asked without a pause: latencies in seconds, and the rate."""

    latencies: list[float]
    per_second: float


def turns(targets: Sequence[str]) -> list[str]:
    """Return the order in which targets fill the host: as given, with those of LAST at the end."""
    return sorted(targets, key=lambda name: LAST.index(name) if name in LAST else -1)


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Return True except for plain processes, which are not instances."""
    return kind != "native"


def measure(
    worker: Worker, number: int, profile: Profile, progress: ProgressCallback
) -> list[Sample]:
    """Start instances up to a limit, ask each for an answer, and stop them all."""
    name = worker.target
    before = worker.call(_DEADLINE_SECONDS, kernel_state)
    started = 0
    try:
        steps, stop = _fill(worker, profile.density, progress)
        started = steps[-1].running
        progress(f"{name}: asking {started} instances for an answer")
        answering = worker.call(_DEADLINE_SECONDS, count_answering)
        load = worker.call(_DEADLINE_SECONDS, keep_busy, _LOADED_SECONDS)
    finally:
        progress(f"{name}: stopping all instances")
        deadline_seconds = max(_DEADLINE_SECONDS, started * _STOP_SECONDS_EACH)
        teardown = worker.call(deadline_seconds, stop_all)
    progress(f"{name}: filled with {started} instances (limit: {stop})")
    after = worker.call(_DEADLINE_SECONDS, kernel_state)
    filling = Filling(name, number, steps, stop)
    return [
        *filling.curves(),
        *(
            filling.sample(f"loaded-answer-p{share}", percentile(load.latencies, share))
            for share in _PERCENTILES
            if load.latencies
        ),
        filling.sample("loaded-answers", load.per_second),
        *filling.memory_per_instance(_history(before, after)),
        filling.sample("running", started, note=f"stopped by {stop}"),
        filling.sample("answering", answering),
        filling.sample("teardown", teardown),
        *filling.ends_of_the_line(),
        *filling.kernel_costs(metrics.KERNEL_BEFORE, before),
        *filling.kernel_costs(metrics.KERNEL_AFTER, after),
    ]


@dataclass(frozen=True, slots=True)
class Filling:
    """The steps of filling the host with one target's instances, and the limit that ended them."""

    target: str
    round: int
    steps: Sequence[Step]
    stop: str

    def sample(
        self, metric: str | Metric, value: float, position: int = 0, note: str = ""
    ) -> Sample:
        """Return a sample of a metric of density."""
        metric = metrics.find("density", metric) if isinstance(metric, str) else metric
        return sample(metric, self.target, self.round, value, position=position, note=note)

    def curves(self) -> Iterator[Sample]:
        """Yield the points over the number of instances, and the latency of each start."""
        latencies = [latency for step in self.steps for latency in step.start_latencies]
        for position, latency in enumerate(latencies):
            yield self.sample("start-latency", latency, position)
        for step in self.steps:
            yield self.sample("memory-available", step.available_bytes, step.running)
            yield self.sample("memory-pss", step.pss_bytes, step.running)
            if step.answer_latencies:
                for share in _PERCENTILES:
                    latency = percentile(step.answer_latencies, share)
                    yield self.sample(f"answer-p{share}", latency, step.running)

    def memory_per_instance(self, history: str) -> Iterator[Sample]:
        """Yield the slopes of memory over the number of instances, by MemAvailable and by PSS."""
        running = [step.running for step in self.steps]
        for source, values in (
            ("available", [-step.available_bytes for step in self.steps]),
            ("pss", [step.pss_bytes for step in self.steps]),
        ):
            metric = metrics.find("density", f"memory-per-instance-{source}")
            if len(set(running)) < 2:
                reason = f"{self.target} was stopped by {self.stop}: a slope needs a second count"
                yield sample(metric, self.target, self.round, None, censored=reason)
            else:
                yield self.sample(metric, slope(running, values), note=history)

    def ends_of_the_line(self) -> Iterator[Sample]:
        """Yield the slopes over the first and over the last half, if there are enough points."""
        running = [step.running for step in self.steps]
        available = [step.available_bytes for step in self.steps]
        if len(running) < _POINTS_FOR_ENDS:
            return
        middle = len(running) // 2
        for part, chosen in (("first", slice(None, middle + 1)), ("last", slice(middle, None))):
            counts = running[chosen]
            value = slope(counts, [-each for each in available[chosen]])
            note = f"from {counts[0]:,} to {counts[-1]:,}"
            yield self.sample(metrics.MEMORY_OF_PART.of(part), value, note=note)

    def kernel_costs(self, family: metrics.Family, state: KernelState) -> Iterator[Sample]:
        """Yield the kernel's costs before or after the filling."""
        for kind, value in asdict(state.costs).items():
            if value is not None:
                metric = family.of(kind.replace("_", " "))
                yield self.sample(metric, value, note=state.description())


def _history(before: KernelState, after: KernelState) -> str:
    """Describe how the host's past adds to an instance's memory; empty if it is unknown."""
    costs = [state.costs.memory_cgroup for state in (before, after)]
    if None in costs:
        return ""
    first, last = (units.quantity(cost, "byte") for cost in costs if cost is not None)
    return f"an empty memory cgroup took {first} of kernel memory before, {last} after"


def _fill(worker: Worker, bounds: Density, progress: ProgressCallback) -> tuple[list[Step], str]:
    """Return the steps, and the limit that ended them."""
    machine = worker.call(10.0, kind_of) == "machine"
    maximum = bounds.machines if machine else bounds.containers
    seconds = bounds.seconds_for(worker.target)
    min_step = 1 if machine else _MIN_STEP
    until_ns = time.monotonic_ns() + int(seconds * 1e9)
    floor = bounds.memory_floor_bytes
    steps = [worker.call(_DEADLINE_SECONDS, start_more, 0, floor, until_ns)]
    while (running := steps[-1].running) < maximum:
        if stop := _stop(steps[-1], bounds):
            return steps, stop
        if time.monotonic_ns() > until_ns:
            return steps, f"count of instances that start within {seconds:.0f} s"
        progress(f"{worker.target}: {running} instances running")
        count = min(max(min_step, running // _GROWTH), maximum - running)
        deadline_seconds = seconds + _DEADLINE_SECONDS
        steps.append(worker.call(deadline_seconds, start_more, count, floor, until_ns))
    return steps, _stop(steps[-1], bounds) or f"count of {maximum}"


def _stop(step: Step, bounds: Density) -> str:
    """Return the limit that the step reached, as text; empty if there is none."""
    if step.limit:
        return step.limit
    if step.failed:
        limit = host_limits.of_failure(step.failed)
        return f"{limit or 'a failed start'}: {step.failed}"
    if max(step.start_latencies, default=0.0) > bounds.start_limit_seconds:
        return f"start latency above {bounds.start_limit_seconds:.0f} s"
    return ""


def kernel_state(target: Target) -> KernelState:
    """Return the kernel's costs and the traces of the host's past, once the host has settled."""
    time.sleep(_SETTLE_SECONDS)
    return KernelState(kernel_costs.measure(), kernel_costs.leftovers())


def kind_of(target: Target) -> Kind:
    """Return the kind of the worker's target; called in the worker."""
    return target.kind


def start_more(target: Target, count: int, floor_bytes: int, until_ns: int) -> Step:
    """Start `count` more instances, one after the other, and measure once they have settled.

    Stop early at a failed start, near a limit of the host, or at the time limit. Memory is checked
    before each start, so that the host never kills a process for lack of it.
    """
    latencies: list[float] = []
    limit = failed = ""
    before = len(target.running)
    for _ in range(count):
        if (limit := host_limits.memory(floor_bytes)) or time.monotonic_ns() > until_ns:
            break
        try:
            latencies.append(_start_one(target))
        except LabError as error:
            failed = str(error).removesuffix(".")
        if failed or not len(latencies) % _CHECK_EVERY:
            _spare_descriptors(target, before)
            limit = host_limits.met(target.settings.scratch)
        if failed or limit:
            break
    for instance in target.running[before:]:
        instance.reached("ready")
    _spare_descriptors(target, before)
    time.sleep(_SETTLE_SECONDS)
    return Step(
        running=len(target.running),
        start_latencies=latencies,
        answer_latencies=[_ask(instance) for instance in _some(target.running)],
        available_bytes=host_limits.available_memory_bytes(),
        pss_bytes=memory(pid for instance in target.running for pid in instance.pids()).pss,
        limit=limit or host_limits.memory(floor_bytes) or host_limits.met(target.settings.scratch),
        failed=failed,
    )


def _spare_descriptors(target: Target, before: int) -> None:
    """Hand the pipes of running instances to a keeper process if descriptors become scarce here.

    Instances after the first `before` are awaited first, since they report that they are ready over
    their pipes.
    """
    if host_limits.descriptors(_DESCRIPTOR_SHARE):
        for instance in target.running[before:]:
            instance.reached("ready")
        with suppress(OSError):  # the next check of the limits reports the shortage
            target.until_stopped.callback(DescriptorKeeper(target.running).end)


def _start_one(target: Target) -> float:
    instance = target.start()
    target.running.append(instance)
    try:
        reached_ns = instance.reached("first-instruction")
    except LabError:
        target.running.pop().stop()
        raise
    if reached_ns is None:
        raise StartFailed(f"{target.name} did not report its first instruction.")
    return (reached_ns - instance.t0_ns) / 1e9


def _some(running: list[Instance]) -> list[Instance]:
    """Return about _ASKED instances, evenly spread over the running ones."""
    return running[:: max(1, len(running) // _ASKED)]


def _ask(instance: Instance) -> float:
    """Return the seconds until the instance answered."""
    begin_ns = time.monotonic_ns()
    return (instance.ask() - begin_ns) / 1e9


def keep_busy(target: Target, seconds: float) -> Load:
    """Ask all instances in turn, without a pause, for so many seconds."""
    begin, latencies = time.monotonic(), []
    while target.running and time.monotonic() < begin + seconds:
        for instance in target.running:
            with suppress(LabError, OSError):
                latencies.append(_ask(instance))
            if time.monotonic() >= begin + seconds:
                break
    return Load(latencies, len(latencies) / (time.monotonic() - begin))


def count_answering(target: Target) -> int:
    """Return how many running instances answer a request."""
    answering = 0
    for instance in target.running:
        try:
            instance.ask()
        except (LabError, OSError):
            continue
        answering += 1
    return answering


def stop_all(target: Target) -> float:
    """Stop all instances; return the seconds until the last was gone."""
    begin_ns = time.monotonic_ns()
    while target.running:
        target.running.pop().stop()
    target.until_stopped.close()
    return (time.monotonic_ns() - begin_ns) / 1e9
