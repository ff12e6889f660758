"""Rounds: every target once, in random order, until the plan is done.

A round is a block: whatever disturbs the host disturbs all targets of the round alike, and ratios
are taken inside it. The order of each round comes from the run's recorded seed. What finishes is
kept, round by round; what fails is kept too, as a censored sample with its reason.
"""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lab import experiments, targets
from lab.errors import LabError
from lab.results import Sample
from lab.worker import Worker

if TYPE_CHECKING:
    from lab.profiles import Profile
    from lab.progress import Progress
    from lab.results import RunFolder
    from lab.targets.base import Settings


@dataclass(frozen=True)
class Plan:
    """What a run is to measure."""

    profile: Profile
    experiments: tuple[str, ...]
    targets: tuple[str, ...]
    seed: int
    accelerator: Literal["kvm", "tcg"]
    rounds: int | None = None
    page_cache: str = "warm"

    def rounds_of(self, experiment: str) -> int:
        """How many rounds the experiment takes."""
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
        }


def execute(plan: Plan, settings: Settings, folder: RunFolder, progress: Progress) -> list[str]:
    """Measure the plan into the folder; the sentences of what failed, empty if nothing did.

    Raises LabError if nothing can go on. KeyboardInterrupt passes through: the workers are ended,
    and the rounds that were finished are in the folder.
    """
    chance = random.Random(plan.seed)
    failures: list[str] = []
    with ExitStack() as stack:
        workers = []
        for name in plan.targets:
            progress.tell(f"preparing {name}")
            try:
                workers.append(stack.enter_context(Worker(name, settings)))
            except LabError as error:
                failures.append(str(error))
        for name in plan.experiments:
            with progress.stage(name, plan.rounds_of(name)) as stage:
                for number in range(plan.rounds_of(name)):
                    order = chance.sample(workers, len(workers))
                    samples = _round(name, number, order, plan.profile, progress)
                    folder.append(samples)
                    failures += [
                        f"{name}, round {number + 1}: {sample.censored}"
                        for sample in samples
                        if sample.censored
                    ]
                    stage.advance()
    return failures


def _round(
    name: str, number: int, workers: list[Worker], profile: Profile, progress: Progress
) -> list[Sample]:
    """The samples of one round; a target that fails gives one censored sample."""
    experiment = experiments.find(name)
    samples: list[Sample] = []
    for worker in workers:
        kind = targets.find(worker.target).kind
        if not experiment.joins(worker.target, kind, number, profile):
            continue
        progress.tell(f"round {number + 1}: {worker.target}")
        try:
            samples += experiment.measure(worker, number, profile, progress.tell)
        except LabError as error:
            metric, unit = experiment.HEADLINE
            samples.append(
                Sample(name, worker.target, metric, unit, number, None, censored=str(error))
            )
            for line in worker.revive():
                progress.tell(line)
    return samples
