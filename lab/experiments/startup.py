"""How long from the request until the workload runs, answers, has its user space up, is gone.

And where the time goes: each step of the start, as far as the target tells, with its begin. Where
telling takes time, it is another start that tells, now and then, and no figure but the steps' own
comes from it.
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
    from lab.experiments.base import Tell
    from lab.experiments.profiles import Profile
    from lab.metrics import Metric, Milestone, Unit
    from lab.results.sample import Sample
    from lab.targets.base import Instance, Kind, Target
    from lab.targets.worker import Worker

HEADLINE: tuple[str, Unit] = ("first-instruction", "second")
RUNS_WORKLOADS = False
REST_SECONDS = 0.15
TRACED_EVERY = 5  # rounds, where tracing the steps takes a separate start
_DEADLINE_SECONDS = 300.0


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Every target does; machines, being slow, only in every n-th round."""
    return profile.has_turn(kind, number)


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """One start and stop."""
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
    """One start: when it was asked for, nanoseconds to each milestone and until gone, its steps.

    `cpu_ns` is what it took of the CPUs until its last milestone, whoever used it. There are no
    steps where the target tells them apart.
    """

    t0_ns: int
    reached: dict[str, int]
    cpu_ns: int
    spans: list[Span]


def start_and_stop(target: Target) -> Start:
    """Start an instance, wait for every milestone that it has, ask for its steps, stop it.

    Before the request the host rests: moving a process to a cgroup waits for an RCU grace period
    unless another did so just before, so that a start would be cheaper after some neighbours than
    after others. `ready` is asked for before `userspace`, since a machine answers before its last
    unit is up.
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
    """The steps of another start than those that are timed, from a host that rests as well."""
    time.sleep(REST_SECONDS)
    with target.start_traced() as instance:
        return _spans(instance, {each: instance.reached(each) for each in MILESTONES})


def _spans(instance: Instance, reached: dict[Milestone, int | None]) -> list[Span]:
    """What the target tells, or one step until the first instruction; then the milestones."""
    first, ready = reached["first-instruction"], reached["ready"]
    assert first is not None and ready is not None
    steps = instance.spans() or [Span("until the program runs", instance.t0_ns, first)]
    steps.append(Span("until it answers", first, max(first, ready)))
    if userspace := reached["userspace"]:
        steps.append(Span("until its default target", max(first, ready), max(ready, userspace)))
    return steps
