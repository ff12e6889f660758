"""What an experiment is: a question put to one target, once a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lab.experiments.profiles import Profile
    from lab.metrics import Unit
    from lab.results.sample import Sample
    from lab.targets.base import Kind
    from lab.targets.worker import Worker

Tell = Callable[[str], None]


class Experiment(Protocol):
    """A module of this package: its functions are the experiment.

    `HEADLINE` is the metric and its unit under which a round that failed is recorded.
    `RUNS_WORKLOADS` says whether its instances need the user land that holds every workload's
    packages.
    """

    HEADLINE: tuple[str, Unit]
    RUNS_WORKLOADS: bool

    def joins(self, target: str, kind: Kind, number: int, profile: Profile) -> bool:
        """Whether the target takes part in the round of this number."""

    def measure(self, worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
        """The samples of one target in round `number`; `tell` is told how far it is.

        Raises LabError if the target failed: the round then holds a censored sample for it.
        """
