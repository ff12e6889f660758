"""Target tracking, as the instance groups of clouds do it: alarms on averages of a minute.

The high alarm sounds when the utilization was above the target for three minutes in a row, the low
alarm when it was more than 10 % below the target for fifteen. Either sets the number in proportion,
up by rounding up; down, one that would bring the utilization above the target is not taken. An
instance warms up for a while, during which it counts as capacity and not in the metric, and no
instance is removed.

(Amazon EC2 Auto Scaling and Application Auto Scaling, "Target tracking scaling policies")
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from lab.scaling.quantities import Number, Period, Seconds, Share
from lab.scaling.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.scaling.autoscalers.base import Load
    from lab.scaling.pool import Pods

_LOW = 0.9  # of the target
_ROUNDING = 1e-9


class TargetTracking(Table, tag_field="kind", tag="target-tracking", frozen=True, kw_only=True):
    """The settings, with the usual defaults; the utilization is that of an instance's slots."""

    target_utilization: Share = Share(0.5)
    period: Period = Period(60.0)
    high_periods: Number = 3
    low_periods: Number = 15
    warm_up: Seconds = Seconds(300.0)
    min_replicas: Number = 1
    max_replicas: Number = 100


class TargetTrackingAutoscaler:
    """The autoscaler of one group."""

    def __init__(self, settings: TargetTracking, concurrency: int) -> None:
        self._settings = settings
        self._concurrency = concurrency
        self._used = 0.0  # in the period so far: seconds of busy slots
        self._offered = 0.0  # and seconds of slots
        self._points: deque[float] = deque(maxlen=max(settings.high_periods, settings.low_periods))
        self._warm_at = 0.0

    @property
    def tick_seconds(self) -> float:
        """The time between decisions."""
        return float(self._settings.period)

    @property
    def initial_replicas(self) -> int:
        """The number of instances at the beginning."""
        return self._settings.min_replicas

    def record(self, load: Load, pods: Pods) -> None:
        """Take note of an interval's load; instances that warm up are not in the metric."""
        warm = sum(
            since == 0 or since + self._settings.warm_up <= load.end for since in pods.ready_since
        )
        share = warm / pods.ready if pods.ready else 0.0
        self._used += load.busy * share * load.seconds
        self._offered += warm * self._concurrency * load.seconds

    def wake(self, now: float, pods: Pods) -> int:
        """Return zero: the smallest group has an instance."""
        del now
        return pods.replicas

    def replicas(self, now: float, pods: Pods) -> int:
        """Return the number of instances to have from now on."""
        settings, current = self._settings, pods.replicas
        self._points.append(self._used / self._offered if self._offered else 0.0)
        self._used = self._offered = 0.0
        target = settings.target_utilization
        latest = list(self._points)
        in_proportion = math.ceil(current * latest[-1] / target - _ROUNDING)
        wanted = current
        if _all(latest, settings.high_periods, lambda point: point > target):
            wanted = max(in_proportion, current)
        elif now >= self._warm_at and _all(
            latest, settings.low_periods, lambda point: point < target * _LOW
        ):
            wanted = min(in_proportion, current)
        wanted = max(settings.min_replicas, min(wanted, settings.max_replicas))
        if wanted > current:
            self._warm_at = now + settings.warm_up
        return wanted


def _all(points: list[float], count: int, test: Callable[[float], bool]) -> bool:
    """Return True if the latest points all pass."""
    return len(points) >= count and all(map(test, points[-count:]))
