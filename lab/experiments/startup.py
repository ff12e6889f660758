"""Start-up: times from the request to first instruction, ready and userspace, and until gone.

The steps of the start show where the time goes, as far as the target can report them. Where tracing
the steps would slow the start, a separate start is traced in some rounds, and gives only the steps.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import metrics
from lab.host import cpu_time
from lab.metrics import MILESTONES
from lab.results.sample import sample
from lab.targets.base import Span

if TYPE_CHECKING:
    from lab.experiments.base import ProgressCallback
    from lab.experiments.profiles import Profile
    from lab.metrics import Metric, Milestone, Unit
    from lab.results.sample import Sample
    from lab.targets.base import Instance, Kind, Target
    from lab.targets.worker import Worker

HEADLINE: tuple[str, Unit] = ("first-instruction", "second")
RUNS_WORKLOADS = False
REST_SECONDS = 0.15
TRACED_EVERY = 5  # a separate start is traced in every fifth round
_DEADLINE_SECONDS = 300.0


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Return True for every target; emulated machines join some rounds."""
    return profile.has_turn(kind, number)


def measure(
    worker: Worker, number: int, profile: Profile, progress: ProgressCallback
) -> list[Sample]:
    """Start and stop one instance."""
    start = worker.call(_DEADLINE_SECONDS, start_and_stop)
    spans = start.spans
    if not spans and number % TRACED_EVERY == 0:
        spans = worker.call(_DEADLINE_SECONDS, trace_steps)

    def timed(metric: Metric, nanoseconds: int, position: int = 0) -> Sample:
        return sample(metric, worker.target, number, nanoseconds / 1e9, position=position)

    return [
        *(timed(metrics.find("startup", name), ns) for name, ns in start.reached.items()),
        timed(metrics.START_CPU.of("until up"), start.cpu_ns),
        *(
            each
            for position, span in enumerate(spans)
            for each in (
                timed(
                    metrics.STEP_BEGIN.of(span.step), span.begin_ns - spans[0].begin_ns, position
                ),
                timed(metrics.STEP.of(span.step), span.end_ns - span.begin_ns, position),
            )
        ),
    ]


@dataclass(frozen=True, slots=True)
class Start:
    """One start: the time of the request, the nanoseconds to each milestone, and the steps.

    `reached` also has `gone`, the nanoseconds from the stop until nothing was left. `cpu_ns` is the
    CPU time of all processes until the last milestone. `spans` is empty if the target traces its
    steps in a separate start.
    """

    t0_ns: int
    reached: dict[str, int]
    cpu_ns: int
    spans: list[Span]


def start_and_stop(target: Target) -> Start:
    """Start an instance, wait for all of its milestones, read its steps, and stop it.

    The host rests before the request: moving a process to a cgroup waits for an RCU grace period
    unless another process did so just before, so the cost of a start would depend on the target
    measured before it. `ready` comes before `userspace`, since a machine answers requests before
    its last unit is up.
    """
    cpu_before_ns = cpu_time.used_ns()
    time.sleep(REST_SECONDS)
    with ExitStack() as stack:
        instance = stack.enter_context(target.start())
        reached = {milestone: instance.reached(milestone) for milestone in MILESTONES}
        cpu_ns = cpu_time.used_ns(instance.pids()) - cpu_before_ns
        spans = [] if target.traces_separately else _spans(instance, reached)
        stop_ns = time.monotonic_ns()
        stack.close()
        gone_ns = time.monotonic_ns() - stop_ns
    since: dict[str, int] = {
        name: at - instance.t0_ns for name, at in reached.items() if at is not None
    }
    return Start(instance.t0_ns, {**since, "gone": gone_ns}, cpu_ns, spans)


def trace_steps(target: Target) -> list[Span]:
    """Return the steps of a separate, traced start; the host rests before it as well."""
    time.sleep(REST_SECONDS)
    with target.start_traced() as instance:
        return steps(instance)


def steps(instance: Instance) -> list[Span]:
    """Return the steps of a start that has reached all of its milestones."""
    return _spans(instance, {each: instance.reached(each) for each in MILESTONES})


def _spans(instance: Instance, reached: dict[Milestone, int | None]) -> list[Span]:
    """Return the target's steps, or one step up to the first instruction, and the milestones."""
    first, ready = reached["first-instruction"], reached["ready"]
    assert first is not None and ready is not None
    steps = instance.spans() or [Span("until the program runs", instance.t0_ns, first)]
    steps.append(Span("until it answers", first, max(first, ready)))
    if userspace := reached["userspace"]:
        steps.append(Span("until its default target", max(first, ready), max(ready, userspace)))
    return steps
