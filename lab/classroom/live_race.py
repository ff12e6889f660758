"""A race on this host: one instance of each target, all requested at the same moment."""

from __future__ import annotations

import os
import queue
import signal
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from lab import targets
from lab.classroom.race import FINISH, Lap, each_once
from lab.errors import LabError, TargetFailed, Unavailable
from lab.experiments import startup
from lab.host import measurement_lock, plain_paths
from lab.host.scratch import scratch_directory
from lab.progress import Progress
from lab.targets.base import Settings
from lab.targets.registry import MACHINES, VMMS
from lab.targets.worker import Worker
from lab.userland import build, kvm_probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lab.metrics import Milestone
    from lab.targets.base import Span, Target

DEFAULT = ("container", "podman", "docker", "vm")
_START_SECONDS = 120.0
_CALL_SECONDS = _START_SECONDS + 30.0
# `ready` last: a target has finished when it answers.
_MILESTONES: tuple[Milestone, ...] = ("first-instruction", "ready")


class Runners:
    """The targets of a race, prepared, each in its worker."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the targets."""
        return tuple(worker.target for worker in self._workers)

    def race(self, label: Callable[[str], str]) -> Iterator[Lap | tuple[str, list[Span]]]:
        """Start one instance of each target and yield laps as they happen, and each one's steps.

        The instances are stopped when all have finished.
        """
        events: queue.SimpleQueue[Lap | tuple[str, list[Span]] | None] = queue.SimpleQueue()
        start = threading.Barrier(len(self._workers))
        threads = [
            threading.Thread(target=_run, args=(worker, label(worker.target), start, events.put))
            for worker in self._workers
        ]
        for thread in threads:
            thread.start()
        try:
            left = len(threads)
            while left:
                event = events.get()
                if event is None:
                    left -= 1
                else:
                    yield event
        except BaseException:
            for worker in self._workers:  # they clean up, and the threads' calls then fail
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGTERM)
            raise
        finally:
            for thread in threads:
                thread.join()


def present(names: Sequence[str] | None) -> list[str]:
    """Return the names of targets that can race here, each once.

    `names` None is a container, two engines and a machine, as far as they are installed. Raise
    NotFound, InvalidConfig without any, Unavailable for a target that can't run here or without
    root.
    """
    if names is None:
        chosen = [name for name in DEFAULT if not targets.find(name).absent()]
    else:
        chosen = each_once(names)
        for name in chosen:
            if why := targets.find(name).absent():
                raise Unavailable(f"{name} can't race here: {why}.")
    if os.geteuid() != 0:
        raise Unavailable(
            "A race needs root for namespaces, cgroups and mounts: use sudo, or --replay RUN."
        )
    return chosen


@contextmanager
def prepared(names: Sequence[str], *, wait: bool) -> Iterator[tuple[Runners, bool]]:
    """Prepare targets; yield them, and whether machines are emulated. Raise HostBusy."""
    with (
        Progress() as progress,
        measurement_lock.measurement_lock(wait=wait, progress=progress.tell),
        plain_paths.plain_cache(),
        ExitStack() as stack,
    ):
        land = build.build(progress.tell)
        accelerator = kvm_probe.accelerator(progress.tell)
        scratch = stack.enter_context(scratch_directory())
        settings = Settings(land, scratch, accelerator, _START_SECONDS)
        workers = [stack.enter_context(Worker(name, settings)) for name in names]
        for worker in workers:
            progress.tell(f"preparing {worker.target}")
            worker.await_target()
            if worker.target not in (*MACHINES, *VMMS):
                with suppress(TargetFailed):  # the race itself will say so
                    worker.call(_CALL_SECONDS, _warm_up)
        yield Runners(workers), accelerator == "tcg"


def _run(
    worker: Worker,
    label: str,
    start: threading.Barrier,
    tell: Callable[[Lap | tuple[str, list[Span]] | None], None],
) -> None:
    """Start an instance when all targets are there, and tell its laps."""
    try:
        start.wait()
        t0_ns = worker.call(_CALL_SECONDS, _begin)
        for milestone in _MILESTONES:
            at_ns = worker.call(_CALL_SECONDS, _reach, milestone)
            tell(Lap(label, milestone, (at_ns - t0_ns) / 1e9))
        tell((label, worker.call(_CALL_SECONDS, _end)))
    except LabError as error:
        tell(Lap(label, FINISH, 0.0, failed=str(error)))
    finally:
        tell(None)


def _warm_up(target: Target) -> None:
    """Start and stop an instance: the first one after the set-up compiles filters, fills caches."""
    _begin(target)
    _reach(target, "ready")
    _end(target)


def _begin(target: Target) -> int:
    """Request an instance, which stays when the call has returned."""
    instance = target.start()
    target.running.append(instance)
    return instance.t0_ns


def _reach(target: Target, milestone: Milestone) -> int:
    at_ns = target.running[-1].reached(milestone)
    if at_ns is None:
        raise TargetFailed(f"{target.name} has no milestone {milestone}.")
    return at_ns


def _end(target: Target) -> list[Span]:
    """Stop the instance; return the steps of its start."""
    instance = target.running.pop()
    with instance:
        return startup.steps(instance)
