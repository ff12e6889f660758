"""Kubernetes' horizontal pod autoscaler (HPA): a ratio of usage to target, every 15 seconds.

The ratio of the pods that are ready is within 10 % of one, or gives the number of pods. Pods that
are not ready, and pods without a metric, then count as if they used nothing when there are too few
pods, and those without a metric as if they used all of the target (of the request, for CPU) when
there are too many; a change of direction by that is no change. The number may double or grow by
four in 15 seconds, whichever is more, and does not fall below the largest recommendation of the
last five minutes.

(kubernetes/kubernetes, pkg/controller/podautoscaler: horizontal.go and replica_calculator.go; the
default behavior of autoscaling/v2)
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from lab.scaling.quantities import Number, NumberOrZero, Period, Portion, Seconds, Share
from lab.scaling.table import Table

if TYPE_CHECKING:
    from lab.scaling.autoscalers.base import Load
    from lab.scaling.pool import Pods


class Hpa(Table, tag_field="kind", tag="hpa", frozen=True, kw_only=True):
    """The settings of the object and of the controller, with their defaults.

    The metric `cpu` is the share of an instance's slots that are busy, which can't exceed 100 %;
    `concurrency` counts the requests that wait as well, as a metric of the load balancer does. An
    instance is ready for the metric once it has been ready for a whole `metric-window`.
    `missing-metrics` is the share of those instances whose metric does not arrive.
    """

    metric: Literal["cpu", "concurrency"] = "cpu"
    target_utilization: Share = Share(0.7)
    sync_period: Period = Period(15.0)
    metric_window: Seconds = Seconds(15.0)
    missing_metrics: Portion = Portion(0.0)
    tolerance: Share = Share(0.1)
    scale_up_percent: NumberOrZero = 100
    scale_up_pods: NumberOrZero = 4
    scale_up_period: Period = Period(15.0)
    scale_up_stabilization_window: Seconds = Seconds(0.0)
    scale_down_percent: Annotated[int, msgspec.Meta(ge=0, le=100)] = 100
    scale_down_period: Period = Period(15.0)
    scale_down_stabilization_window: Seconds = Seconds(300.0)
    min_replicas: Number = 1
    max_replicas: Number = 100


@dataclass(frozen=True, slots=True)
class Usage:
    """The pods by what is known of them, and the average usage of those with a metric.

    `average` and `target` are shares of what a pod requests. `unready` pods are pending, not ready,
    or ready for less than a window; `missing` ones run without a metric, and count as
    `missing_usage` when there are too many pods.
    """

    measured: int
    average: float
    target: float
    unready: int = 0
    missing: int = 0
    missing_usage: float = 1.0


def proposal(current: int, usage: Usage, tolerance: float) -> int:
    """Return the replicas that the usage asks for (GetResourceReplicas)."""
    if not usage.measured:
        return current  # no metric of a ready pod: the controller gives up until the next period
    total = usage.average * usage.measured
    ratio = usage.average / usage.target
    rebalances = usage.unready > 0 and ratio > 1
    if not rebalances and not usage.missing:
        return current if _is_small(ratio, tolerance) else math.ceil(ratio * usage.measured)
    pods = usage.measured
    if usage.missing and ratio != 1:
        pods += usage.missing
        total += usage.missing * usage.missing_usage if ratio < 1 else 0.0
    if rebalances:
        pods += usage.unready
    again = total / pods / usage.target
    if _is_small(again, tolerance) or (ratio < 1 < again) or (again < 1 < ratio):
        return current
    replicas = math.ceil(again * pods)
    turns = (again < 1 and replicas > current) or (again > 1 and replicas < current)
    return current if turns else replicas


class HpaAutoscaler:
    """The autoscaler of one deployment."""

    def __init__(self, settings: Hpa, concurrency: int) -> None:
        self._settings = settings
        self._concurrency = concurrency
        self._loads: deque[Load] = deque()
        self._recommendations: list[tuple[float, int]] = []
        self._ups: list[tuple[float, int]] = []
        self._downs: list[tuple[float, int]] = []

    @property
    def tick_seconds(self) -> float:
        """The time between decisions."""
        return float(self._settings.sync_period)

    @property
    def initial_replicas(self) -> int:
        """The number of instances at the beginning."""
        return self._settings.min_replicas

    def record(self, load: Load, pods: Pods) -> None:
        """Take note of an interval's load."""
        del pods
        self._loads.append(load)
        while self._loads[0].end <= load.end - max(self._settings.metric_window, load.seconds):
            self._loads.popleft()

    def wake(self, now: float, pods: Pods) -> int:
        """Return zero: autoscaling is off for a deployment without replicas."""
        del now
        return pods.replicas

    def replicas(self, now: float, pods: Pods) -> int:
        """Return the number of instances to have from now on."""
        settings, current = self._settings, pods.replicas
        if not current:
            return 0
        if not self._recommendations:
            self._recommendations.append((now, current))
        if current > settings.max_replicas:
            wanted = settings.max_replicas
        elif current < settings.min_replicas:
            wanted = settings.min_replicas
        else:
            asked = proposal(current, self._usage(now, pods), settings.tolerance)
            wanted = self._limited(now, current, self._stabilized(now, current, asked))
        self._remember(now, wanted - current)
        return wanted

    def _usage(self, now: float, pods: Pods) -> Usage:
        """Return the usage of the pods over the metric's window."""
        settings = self._settings
        old = sum(since <= now - settings.metric_window for since in pods.ready_since)
        seconds = sum(load.seconds for load in self._loads)
        measured = old - round(old * settings.missing_metrics) if seconds else 0
        average = 0.0
        if measured:
            served = sum(self._value(load) * load.seconds for load in self._loads) / seconds
            # The ready pods share the load; the metric of the young ones is not used.
            average = served / (pods.ready * self._concurrency)
        target = settings.target_utilization
        # A CPU metric takes all of the request, any other one the target. (replica_calculator.go)
        missing_usage = max(1.0, target) if settings.metric == "cpu" else target
        return Usage(measured, average, target, pods.replicas - old, old - measured, missing_usage)

    def _value(self, load: Load) -> float:
        return load.busy if self._settings.metric == "cpu" else load.in_system

    def _stabilized(self, now: float, current: int, asked: int) -> int:
        """Return the recommendation within its window (stabilizeRecommendationWithBehaviors)."""
        up, down = (
            self._settings.scale_up_stabilization_window,
            self._settings.scale_down_stabilization_window,
        )
        window, better = (up, min) if asked >= current else (down, max)
        recent = [pods for at, pods in self._recommendations if at > now - window]
        longest = max(up, down)
        self._recommendations = [each for each in self._recommendations if each[0] >= now - longest]
        self._recommendations.append((now, asked))
        return better([asked, *recent])

    def _limited(self, now: float, current: int, wanted: int) -> int:
        """Return the number within bounds and rates (convertDesiredReplicasWithBehaviorRate)."""
        settings = self._settings
        if wanted > current:
            begin = current - _changed(self._ups, now - settings.scale_up_period)
            by_percent = math.ceil(begin * (100 + settings.scale_up_percent) / 100)
            most = max(begin + settings.scale_up_pods, by_percent, current)
            return min(wanted, settings.max_replicas, most)
        if wanted < current:
            begin = current + _changed(self._downs, now - settings.scale_down_period)
            least = min(int(begin * (100 - settings.scale_down_percent) / 100), current)
            return max(wanted, settings.min_replicas, least)
        return wanted

    def _remember(self, now: float, change: int) -> None:
        settings = self._settings
        if change > 0:
            self._ups = [each for each in self._ups if each[0] >= now - settings.scale_up_period]
            self._ups.append((now, change))
        elif change < 0:
            begin = now - settings.scale_down_period
            self._downs = [each for each in self._downs if each[0] >= begin]
            self._downs.append((now, -change))


def _is_small(ratio: float, tolerance: float) -> bool:
    return abs(1 - ratio) <= tolerance


def _changed(events: list[tuple[float, int]], after: float) -> int:
    """Return the replicas that changed after a time."""
    return sum(change for at, change in events if at > after)
