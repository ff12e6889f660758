"""Rounds: every target once, in random order, until the plan is done.

A round is a block: whatever disturbs the host disturbs all targets of the round alike, and ratios
are taken inside it. The order of each round comes from the run's recorded seed. What finishes is
kept, round by round, with what the host was like; what fails is kept too, as a censored sample with
its reason.
"""

from __future__ import annotations

import datetime
import os
import random
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from lab import experiments, targets
from lab.errors import LabError
from lab.host import disturbance
from lab.host.background_load import BackgroundLoad
from lab.host.subreaper import adopting
from lab.measurement import page_cache
from lab.results.sample import Round, Sample
from lab.statistics import stopping_rule as stopping
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
    """What a run is to measure."""

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
        """How many rounds the experiment takes, where no precision is asked for."""
        return self.profile.rounds[experiment] if self.rounds is None else self.rounds

    def settings(self) -> dict[str, object]:
        """The plan as run.json has it."""
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
class Executed:
    """How a plan went: the sentences of what failed, and how each experiment's rounds ended."""

    failures: list[str] = field(default_factory=list)
    stopping: dict[str, stopping.Outcome] = field(default_factory=dict)

    def add(self, other: Executed) -> None:
        """Take in what went on after it."""
        self.failures.extend(other.failures)
        self.stopping.update(other.stopping)

    def settings(self) -> dict[str, Any]:
        """What run.json says of it."""
        return {
            "failures": self.failures,
            "stopping": {name: asdict(outcome) for name, outcome in self.stopping.items()},
        }


def execute(
    plan: Plan,
    settings: Settings,
    folder: RunFolder,
    progress: Progress,
    budget: stopping.Budget,
    finished: Mapping[str, Sequence[FinishedRound]],
) -> Executed:
    """Measure the plan into the folder, within the budget; not the rounds that are `finished`.

    Raises LabError if nothing can go on. KeyboardInterrupt passes through: the workers are ended,
    and the rounds that were finished are in the folder.
    """
    chance = random.Random(plan.seed)
    executed = Executed()
    others = BackgroundLoad(os.getpid(), settings.scratch)
    with ExitStack() as stack:
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
        for name in plan.experiments:
            rounds = stopping.Rounds(plan.rounds_of(name), plan.precision, budget.next_end_ns())
            with progress.stage(name, rounds.total) as stage:
                number = 0
                for each in finished.get(name, ()):
                    chance.sample(workers, len(workers))  # so that the orders are the seed's
                    executed.failures.extend(_failures(name, number, each.samples))
                    rounds.record(each.samples, int(each.seconds * 1e9))
                    stage.advance(rounds.total)
                    number += 1
                while rounds.more():
                    order = experiments.in_turn(name, chance.sample(workers, len(workers)))
                    began = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
                    before = disturbance.read(others)
                    samples = _round(name, number, order, plan, progress)
                    conditions = disturbance.between(before, disturbance.read(others))
                    turns = tuple(worker.target for worker in order)
                    folder.append(samples, Round(name, number, began, turns, conditions))
                    executed.failures.extend(_failures(name, number, samples))
                    rounds.record(samples, time.monotonic_ns() - before.at_ns)
                    stage.advance(rounds.total)
                    number += 1
            executed.stopping[name] = rounds.outcome()
    return executed


def _failures(name: str, number: int, samples: list[Sample]) -> list[str]:
    return [
        f"{name}, round {number + 1}: {sample.censored}" for sample in samples if sample.censored
    ]


def _round(
    name: str, number: int, workers: list[Worker], plan: Plan, progress: Progress
) -> list[Sample]:
    """The samples of one round; a target that fails gives one censored sample."""
    profile = plan.profile
    experiment = experiments.find(name)
    samples: list[Sample] = []
    for worker in workers:
        if not profile.asks(name, worker.target):
            continue
        try:
            kind = targets.find(worker.target).kind
            if not experiment.joins(worker.target, kind, number, profile):
                continue
            progress.tell(f"round {number + 1}: {worker.target}")
            if plan.page_cache not in page_cache.LASTING:
                worker.call(_PAGE_CACHE_SECONDS, page_cache.prepare, plan.page_cache)
            with adopting([each.pid for each in workers]):
                samples += experiment.measure(worker, number, profile, progress.tell)
        except Exception as error:  # whatever a target or an experiment raises is its own failure
            metric, unit = experiment.HEADLINE
            reason = _sentence(worker, error)
            samples.append(Sample(name, worker.target, metric, unit, number, None, censored=reason))
            _revive(worker, progress)
    return samples


def _sentence(worker: Worker, error: Exception) -> str:
    """Return an error as a sentence; with TONNAGE_DEBUG, raise what nobody expected."""
    if isinstance(error, LabError):
        return str(error)
    if os.environ.get("TONNAGE_DEBUG"):
        raise error
    return f"{worker.target}: {type(error).__name__}: {error}"


def _revive(worker: Worker, progress: Progress) -> None:
    """Replace a worker that has ended; if that fails, its next round fails, and says so."""
    try:
        for line in worker.revive():
            progress.tell(line)
    except Exception as error:
        progress.tell(_sentence(worker, error))
