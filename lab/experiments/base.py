"""The interface of an experiment: a question that is answered for one target, once per round."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lab.experiments.profiles import Profile
    from lab.metrics import Unit
    from lab.results.sample import Sample
    from lab.targets.base import Kind
    from lab.targets.worker import Worker

ProgressCallback = Callable[[str], None]


class Experiment(Protocol):
    """A module whose functions are the experiment.

    `HEADLINE` is the metric, with its unit, under which a failed round is recorded.
    `RUNS_WORKLOADS` is true if the instances need the user land with the workloads' packages.
    A module that can't measure an image also defines `NO_IMAGE`, the reason.
    """

    HEADLINE: tuple[str, Unit]
    RUNS_WORKLOADS: bool

    def joins(self, target: str, kind: Kind, number: int, profile: Profile) -> bool:
        """Return True if the target takes part in round `number`."""

    def measure(
        self, worker: Worker, number: int, profile: Profile, progress: ProgressCallback
    ) -> list[Sample]:
        """Measure one target in round `number` and return its samples.

        `progress` gets a line for each step. Raise LabError if the target failed; the round then
        gets a censored sample.
        """
