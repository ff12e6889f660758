"""How long from the request until the workload runs, answers, has its user space up, is gone."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from lab.results import Sample

if TYPE_CHECKING:
    from lab.experiments.base import Tell
    from lab.profiles import Profile
    from lab.results import Unit
    from lab.targets.base import Kind, Milestone, Target
    from lab.worker import Worker

HEADLINE: tuple[str, Unit] = ("first-instruction", "second")
REST_SECONDS = 0.15
_DEADLINE_SECONDS = 300.0
_MILESTONES: tuple[Milestone, ...] = ("first-instruction", "ready", "userspace")


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Every target does; machines, being slow, only in every n-th round."""
    return kind != "machine" or number % profile.machines_every == 0


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """One start and stop."""
    return [
        Sample("startup", worker.target, metric, "second", number, nanoseconds / 1e9)
        for metric, nanoseconds in worker.call(_DEADLINE_SECONDS, start_and_stop).items()
    ]


def start_and_stop(target: Target) -> dict[str, int]:
    """Nanoseconds from the request to each milestone, and from the request to stop until gone.

    Before the request the host rests: moving a process to a cgroup waits for an RCU grace period
    unless another did so just before, so that a start would be cheaper after some neighbours than
    after others. `ready` is asked for before `userspace`, since a machine answers before its last
    unit is up.
    """
    time.sleep(REST_SECONDS)
    with ExitStack() as stack:
        instance = stack.enter_context(target.start())
        reached: dict[str, int | None] = {
            milestone: instance.reached(milestone) for milestone in _MILESTONES
        }
        stop_ns = time.monotonic_ns()
        stack.close()
        gone_ns = time.monotonic_ns() - stop_ns
    spans = {name: at - instance.t0_ns for name, at in reached.items() if at is not None}
    return {**spans, "gone": gone_ns}
