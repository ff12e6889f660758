"""How many instances one host carries, and what stops it.

Instances are started one after the other. At each step: what a start took, how far MemAvailable
fell, the PSS of all their processes, and how fast those that are asked answer. At the end every one
is asked once, then all are kept busy answering for a while; then all are stopped. The filling ends
at the profile's count, or at the first limit of the host, which is named.

What an instance takes depends on what the host has held before (lab.host.kernel_costs), so that is
measured before and after each target. And since each target's filling raises what later ones pay,
they take turns from the smallest to the largest, and no other experiment comes after this one.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lab import units
from lab.errors import LabError
from lab.experiments import host_limits
from lab.host import kernel_costs
from lab.host.process_usage import memory
from lab.results.sample import Sample
from lab.statistics.estimates import slope
from lab.statistics.percentiles import percentile
from lab.targets.descriptor_keeper import Keeper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.experiments.base import Tell
    from lab.experiments.profiles import Density, Profile
    from lab.metrics import Unit
    from lab.targets.base import Instance, Kind, Target
    from lab.targets.worker import Worker

HEADLINE: tuple[str, Unit] = ("running", "integer")
RUNS_WORKLOADS = False
# Those that hold few file systems of the host's kernel come first: `container` goes on longest.
LAST = ("podman", "docker", "runc", "crun", "container")
_FEWEST = 20  # containers in a step
_GROWTH = 4  # a step adds a quarter of those that run, so that a fill of any size has some points
_DEADLINE_SECONDS = 600.0
_STOP_SECONDS_EACH = 0.3
_DESCRIPTORS = 0.7  # of the worker's that may be in use before a keeper takes some
_NEAR_EVERY = 50  # starts between two looks at all limits; memory is looked at before each
_SETTLE_SECONDS = 0.2
_ASKED = 50
_LOADED_SECONDS = 2.0
_PERCENTILES = (50, 99)
_POINTS_FOR_ENDS = 9


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
class Look:
    """What the host's past costs at a moment, and what else is left of it."""

    costs: kernel_costs.Costs
    leftovers: kernel_costs.Leftovers

    def said(self) -> str:
        """Return what is left, in words."""
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
    """What instances answer that are asked without a pause: latencies in seconds, and the rate."""

    latencies: list[float]
    per_second: float


def turns(targets: Sequence[str]) -> list[str]:
    """Return the order in which they fill the host: as given, but those of LAST at the end."""
    return sorted(targets, key=lambda name: LAST.index(name) if name in LAST else -1)


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Every kind that is an instance of its own."""
    return kind != "native"


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """Start instances until a limit is met, ask each whether it still answers, stop them all."""
    bounds = profile.density
    name = worker.target
    before = worker.call(_DEADLINE_SECONDS, look_back)
    started = 0
    try:
        steps, stop = _fill(worker, bounds, tell)
        started = steps[-1].running
        tell(f"{name}: asking {started} instances")
        answering = worker.call(_DEADLINE_SECONDS, count_answering)
        load = worker.call(_DEADLINE_SECONDS, keep_busy, _LOADED_SECONDS)
    finally:
        tell(f"{name}: stopping")
        patience = max(_DEADLINE_SECONDS, started * _STOP_SECONDS_EACH)
        teardown = worker.call(patience, stop_all)
    tell(f"{name}: stopped at {started} ({stop})")
    after = worker.call(_DEADLINE_SECONDS, look_back)

    def sample(metric: str, unit: Unit, value: float, position: int = 0) -> Sample:
        return Sample("density", name, metric, unit, number, value, position)

    def per_instance(source: str, values: list[int]) -> Sample:
        metric = f"memory-per-instance-{source}"
        if len(set(running)) < 2:
            why = f"{name} was stopped by {stop}: no second count to draw a line through"
            return Sample("density", name, metric, "byte", number, None, censored=why)
        return Sample("density", name, metric, "byte", number, slope(running, values), note=history)

    history = _history(before, after)
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
        *_ends_of_the_line(name, number, running, available),
        *_looks(name, number, before, after),
    ]  # fmt: skip


def _ends_of_the_line(
    name: str, number: int, running: Sequence[int], available: Sequence[int]
) -> Iterator[Sample]:
    """What one took among the first and among the last, where that differs from the whole slope."""
    if len(running) < _POINTS_FOR_ENDS:
        return
    middle = len(running) // 2
    for part, chosen in (("first", slice(None, middle + 1)), ("last", slice(middle, None))):
        counts = running[chosen]
        value = slope(counts, [-each for each in available[chosen]])
        note = f"from {counts[0]:,} to {counts[-1]:,}"
        metric = f"memory: each of the {part}"
        yield Sample("density", name, metric, "byte", number, value, note=note)


def _looks(name: str, number: int, before: Look, after: Look) -> Iterator[Sample]:
    for when, look in (("before", before), ("after", after)):
        for kind, value in asdict(look.costs).items():
            if value is not None:
                metric = f"kernel {when}: {kind.replace('_', ' ')}"
                yield Sample("density", name, metric, "byte", number, value, note=look.said())


def _history(before: Look, after: Look) -> str:
    """What the host's past adds to an instance's memory; empty where that can't be measured."""
    costs = [look.costs.memory_cgroup for look in (before, after)]
    if None in costs:
        return ""
    first, last = (units.quantity(cost, "byte") for cost in costs if cost is not None)
    return f"an empty memory cgroup took {first} of the host's kernel before, {last} after"


def _fill(worker: Worker, bounds: Density, tell: Tell) -> tuple[list[Step], str]:
    """The steps taken, and which limit ended them."""
    machine = worker.call(10.0, kind_of) == "machine"
    most = bounds.machines if machine else bounds.containers
    seconds = bounds.seconds_for(worker.target)
    fewest = 1 if machine else _FEWEST
    until_ns = time.monotonic_ns() + int(seconds * 1e9)
    floor = bounds.memory_floor_bytes
    steps = [worker.call(_DEADLINE_SECONDS, start_more, 0, floor, until_ns)]
    while (running := steps[-1].running) < most:
        if stop := _stop(steps[-1], bounds):
            return steps, stop
        if time.monotonic_ns() > until_ns:
            return steps, f"count of what {seconds:.0f} s are enough to start"
        tell(f"{worker.target}: {running} running")
        count = min(max(fewest, running // _GROWTH), most - running)
        patience = seconds + _DEADLINE_SECONDS
        steps.append(worker.call(patience, start_more, count, floor, until_ns))
    return steps, _stop(steps[-1], bounds) or f"count of {most}"


def _stop(step: Step, bounds: Density) -> str:
    """Which limit the step met, in words; empty if none."""
    if step.limit:
        return step.limit
    if step.failed:
        named = host_limits.of_failure(step.failed)
        return f"{named or 'a start that failed'}: {step.failed}"
    if max(step.start_latencies, default=0.0) > bounds.start_limit_seconds:
        return f"start latency above {bounds.start_limit_seconds:.0f} s"
    return ""


def look_back(target: Target) -> Look:
    """Return what the host's kernel takes for what is empty just now, once it has settled."""
    time.sleep(_SETTLE_SECONDS)
    return Look(kernel_costs.measure(), kernel_costs.leftovers())


def kind_of(target: Target) -> Kind:
    """What kind of target the worker has."""
    return target.kind


def start_more(target: Target, count: int, floor_bytes: int, until_ns: int) -> Step:
    """Start `count` more, one after the other, and read the memory once they have settled.

    A start that fails, a limit of the host that is near, or the time ends it early. Memory is
    looked at before each start: no process of the host's must be killed for want of it.
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
        if failed or not len(latencies) % _NEAR_EVERY:
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
    """Have a process of its own hold the pipes of those that are up, if few can be opened here.

    Those after the first `before` may not have said yet that they are up.
    """
    if host_limits.descriptors(_DESCRIPTORS):
        for instance in target.running[before:]:
            instance.reached("ready")
        with suppress(OSError):  # the next look at the limits then names this one
            target.kept.callback(Keeper(target.running).end)


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
    target.kept.close()
    return (time.monotonic_ns() - begin_ns) / 1e9
