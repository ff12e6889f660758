"""The interface of autoscalers: what they see, and what they decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lab.scaling.pool import Pods


@dataclass(frozen=True, slots=True)
class Load:
    """The load in the interval that ends at `end`: the requests that arrived, and averages.

    `in_system` counts the requests that wait or are served, `busy` those that are served.
    """

    end: float
    seconds: float
    arrivals: int
    in_system: float
    busy: float


class Autoscaler(Protocol):
    """One autoscaler of one kind of instances. It sees every load, and decides at its ticks."""

    @property
    def tick_seconds(self) -> float:
        """The time between decisions."""

    @property
    def initial_replicas(self) -> int:
        """The number of instances at the beginning."""

    def record(self, load: Load, pods: Pods) -> None:
        """Take note of an interval's load."""

    def replicas(self, now: float, pods: Pods) -> int:
        """Return the number of instances to have from now on."""

    def wake(self, now: float, pods: Pods) -> int:
        """Return the number of instances on a request's arrival when none was asked for."""
