"""The measurement of a plan, in rounds: each target once, in random order.

A round is a block: a disturbance of the host affects all targets of the round alike, and ratios are
computed within rounds. The order of each round follows from the run's recorded seed. Every finished
round is stored with the host's conditions; a failure is stored as a censored sample with its
reason.
"""

from __future__ import annotations

import datetime
import os
import random
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from lab import experiments
from lab.errors import LabError
from lab.host import disturbance
from lab.host.background_load import BackgroundLoad
from lab.host.subreaper import adopting
from lab.measurement import page_cache
from lab.results.sample import Round, Sample
from lab.statistics import stopping_rule
from lab.targets.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.experiments.profiles import Profile
    from lab.host.kvm import Accelerator
    from lab.measurement.resumption import FinishedRound
    from lab.progress import Progress
    from lab.results.run_folder import RunFolder
    from lab.targets.base import Settings


_PAGE_CACHE_SECONDS = 600.0


@dataclass(frozen=True)
class Plan:
    """The experiments, targets and settings of a run."""

    profile: Profile
    experiments: tuple[str, ...]
    targets: tuple[str, ...]
    seed: int
    accelerator: Accelerator
    rounds: int | None = None
    page_cache: page_cache.State = "warm"
    precision: float | None = None
    budget_seconds: float | None = None

    def rounds_of(self, experiment: str) -> int:
        """Return the number of rounds of an experiment, if no precision is requested."""
        return self.profile.rounds[experiment] if self.rounds is None else self.rounds

    def settings(self) -> dict[str, object]:
        """Return the plan as it is stored in run.json."""
        return {
            "profile": self.profile.name,
            "experiments": list(self.experiments),
            "targets": list(self.targets),
            "rounds": {name: self.rounds_of(name) for name in self.experiments},
            "seed": self.seed,
            "accelerator": self.accelerator,
            "page_cache": self.page_cache,
            "precision": self.precision,
            "budget_seconds": self.budget_seconds,
        }


@dataclass(frozen=True, slots=True)
class ExecutedPlan:
    """The result of a plan: messages of failures, and how each experiment's rounds ended."""

    failures: list[str] = field(default_factory=list)
    stopping: dict[str, stopping_rule.Outcome] = field(default_factory=dict)

    def add(self, other: ExecutedPlan) -> None:
        """Add the result of another part of the plan."""
        self.failures.extend(other.failures)
        self.stopping.update(other.stopping)

    def settings(self) -> dict[str, Any]:
        """Return the result as it is stored in run.json."""
        return {
            "failures": self.failures,
            "stopping": {name: asdict(outcome) for name, outcome in self.stopping.items()},
        }


def execute(
    plan: Plan,
    settings: Settings,
    folder: RunFolder,
    progress: Progress,
    budget: stopping_rule.Budget,
    finished: Mapping[str, Sequence[FinishedRound]],
) -> ExecutedPlan:
    """Measure the plan into the folder, within the budget; rounds in `finished` are skipped.

    Raise LabError if no round can be measured. After a KeyboardInterrupt the workers are ended, and
    the finished rounds are in the folder.
    """
    executed = ExecutedPlan()
    others = BackgroundLoad(os.getpid(), settings.scratch)
    with ExitStack() as stack:
        workers = _start_workers(plan, settings, stack, progress, executed)
        harness = _Harness(plan, workers, others, folder, progress, executed)
        for name in plan.experiments:
            harness.measure(name, budget.next_end_ns(), finished.get(name, ()))
    return executed


def _start_workers(
    plan: Plan, settings: Settings, stack: ExitStack, progress: Progress, executed: ExecutedPlan
) -> list[Worker]:
    """Return the workers whose targets could be prepared; the stack ends them."""
    workers = []
    for worker in [stack.enter_context(Worker(name, settings)) for name in plan.targets]:
        progress.tell(f"preparing {worker.target}")
        try:
            worker.await_target()
            if plan.page_cache in page_cache.LASTING:
                worker.call(_PAGE_CACHE_SECONDS, page_cache.prepare, plan.page_cache)
            workers.append(worker)
        except Exception as error:
            executed.failures.append(_sentence(worker, error))
    return workers


class _Harness:
    """The rounds of a plan's experiments, in the order of its seed."""

    def __init__(
        self,
        plan: Plan,
        workers: Sequence[Worker],
        others: BackgroundLoad,
        folder: RunFolder,
        progress: Progress,
        executed: ExecutedPlan,
    ) -> None:
        self._plan = plan
        self._workers = workers
        self._others = others
        self._folder = folder
        self._progress = progress
        self._executed = executed
        self._chance = random.Random(plan.seed)

    def measure(self, name: str, end_ns: int | None, finished: Sequence[FinishedRound]) -> None:
        """Measure one experiment until its stopping rule or its deadline ends it."""
        rounds = stopping_rule.Rounds(self._plan.rounds_of(name), self._plan.precision, end_ns)
        with self._progress.stage(name, rounds.total) as stage:
            number = 0
            for each in finished:
                self._shuffled()  # the orders of later rounds must be those of the seed
                self._executed.failures.extend(_failures(name, number, each.samples))
                rounds.record(each.samples, int(each.seconds * 1e9))
                stage.advance(rounds.total)
                number += 1
            while rounds.more():
                samples, took_ns = self._round(name, number)
                rounds.record(samples, took_ns)
                stage.advance(rounds.total)
                number += 1
        self._executed.stopping[name] = rounds.outcome()

    def _round(self, name: str, number: int) -> tuple[list[Sample], int]:
        """Measure and store one round; return its samples and its duration."""
        order = experiments.in_turn(name, self._shuffled())
        began = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        before = disturbance.read(self._others)
        samples = _round(name, number, order, self._plan, self._progress)
        conditions = disturbance.between(before, disturbance.read(self._others))
        turns = tuple(worker.target for worker in order)
        self._folder.append(samples, Round(name, number, began, turns, conditions))
        self._executed.failures.extend(_failures(name, number, samples))
        return samples, time.monotonic_ns() - before.at_ns

    def _shuffled(self) -> list[Worker]:
        return self._chance.sample(self._workers, len(self._workers))


def _failures(name: str, number: int, samples: list[Sample]) -> list[str]:
    return [
        f"{name}, round {number + 1}: {sample.censored}" for sample in samples if sample.censored
    ]


def _round(
    name: str, number: int, workers: list[Worker], plan: Plan, progress: Progress
) -> list[Sample]:
    """Return the samples of one round; a failed target gives one censored sample."""
    profile = plan.profile
    experiment = experiments.find(name)
    samples: list[Sample] = []
    for worker in workers:
        if not profile.asks(name, worker.target):
            continue
        try:
            if not experiment.joins(worker.target, worker.kind, number, profile):
                continue
            progress.tell(f"round {number + 1}: measuring {worker.target}")
            if plan.page_cache not in page_cache.LASTING:
                worker.call(_PAGE_CACHE_SECONDS, page_cache.prepare, plan.page_cache)
            with adopting([each.pid for each in workers]):
                samples += experiment.measure(worker, number, profile, progress.tell)
        except Exception as error:  # any error counts as a failure of the target
            metric, unit = experiment.HEADLINE
            reason = _sentence(worker, error)
            samples.append(Sample(name, worker.target, metric, unit, number, None, censored=reason))
            _revive(worker, progress)
    return samples


def _sentence(worker: Worker, error: Exception) -> str:
    """Return an error as a sentence; with TONNAGE_DEBUG set, raise unexpected errors."""
    if isinstance(error, LabError):
        return str(error)
    if os.environ.get("TONNAGE_DEBUG"):
        raise error
    return f"{worker.target}: {type(error).__name__}: {error}"


def _revive(worker: Worker, progress: Progress) -> None:
    """Replace a worker that has ended; if that fails, its next round fails and is reported."""
    try:
        for line in worker.revive():
            progress.tell(line)
    except Exception as error:
        progress.tell(_sentence(worker, error))
