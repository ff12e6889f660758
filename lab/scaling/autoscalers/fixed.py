"""No autoscaler: a number of instances that stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.scaling.quantities import Number
from lab.scaling.table import Table

if TYPE_CHECKING:
    from lab.scaling.autoscalers.base import Load
    from lab.scaling.pool import Pods


class FixedReplicas(Table, tag_field="kind", tag="fixed", frozen=True, kw_only=True):
    """The number of instances."""

    replicas: Number


class FixedAutoscaler:
    """It keeps the number."""

    tick_seconds = 60.0

    def __init__(self, settings: FixedReplicas) -> None:
        self.initial_replicas = settings.replicas

    def record(self, load: Load, pods: Pods) -> None:
        """Take note of nothing."""

    def replicas(self, now: float, pods: Pods) -> int:
        """Return the number."""
        del now, pods
        return self.initial_replicas

    def wake(self, now: float, pods: Pods) -> int:
        """Return the number."""
        del now, pods
        return self.initial_replicas
