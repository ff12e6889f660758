"""Knative's pod autoscaler (KPA): concurrency over a stable window, and over a panic window.

Every two seconds it divides the average number of requests in the system by its target, a share of
the concurrency of one instance. If the panic window's result is at least twice the instances that
are ready, it panics: it then only grows, until a stable window passes without that. The last
instance is removed when the stable window has seen no request, and the activator, which holds
requests back while there is no instance, has been in the path for a grace period.

(knative/serving: pkg/autoscaler/scaling/autoscaler.go for the decision,
pkg/reconciler/autoscaling/kpa/scaler.go for the bounds and the way to zero,
pkg/autoscaler/config/config.go for the defaults)
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from lab.scaling.autoscalers.buckets import Buckets
from lab.scaling.quantities import Growth, Number, NumberOrZero, Percentage, Period, Seconds, Share
from lab.scaling.table import Table

if TYPE_CHECKING:
    from lab.scaling.autoscalers.base import Load
    from lab.scaling.pool import Pods

_SMALLEST_TARGET = 1.0
_ACTIVATION_SECONDS = 610.0  # the progress deadline of a deployment, and a margin


class Knative(Table, tag_field="kind", tag="knative", frozen=True, kw_only=True):
    """The settings of config-autoscaler, with its defaults; a `max-scale` of 0 is no limit.

    `target` is container-concurrency-target-default: the smaller of it and the instance's
    concurrency is the total, of which `target-utilization` is aimed at.
    """

    target: Number = 100
    target_utilization: Share = Share(0.7)
    tick: Period = Period(2.0)
    stable_window: Period = Period(60.0)
    panic_window_percentage: Share = Share(0.1)
    panic_threshold_percentage: Percentage = Percentage(2.0)
    max_scale_up_rate: Growth = Growth(1000.0)
    max_scale_down_rate: Growth = Growth(2.0)
    target_burst_capacity: Annotated[int, msgspec.Meta(ge=-1, le=1_000_000)] = 200
    enable_scale_to_zero: bool = True
    scale_to_zero_grace_period: Period = Period(30.0)
    scale_down_delay: Seconds = Seconds(0.0)
    initial_scale: NumberOrZero = 1
    activation_scale: Number = 1
    min_scale: NumberOrZero = 0
    max_scale: NumberOrZero = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The instances that the metrics ask for, and the capacity left after a burst.

    `excess_burst_capacity` below zero puts the activator in the path.
    """

    pods: int
    excess_burst_capacity: int


class KnativeAutoscaler:
    """The autoscaler of one revision."""

    def __init__(self, settings: Knative, concurrency: int) -> None:
        self._settings = settings
        self._total = float(min(settings.target, concurrency))
        self._target = max(_SMALLEST_TARGET, self._total * settings.target_utilization)
        self._stable = Buckets(settings.stable_window)
        panic_window = settings.stable_window * settings.panic_window_percentage
        self._panic = Buckets(max(round(panic_window), 1))
        self._panic_since: float | None = None
        self._max_panic_pods = 0
        self._delayed: deque[tuple[float, int]] = deque()
        self._status: Literal["active", "activating", "inactive"] = "active"
        self._status_since = 0.0
        self._proxy_since: float | None = None

    @property
    def tick_seconds(self) -> float:
        """The time between decisions."""
        return float(self._settings.tick)

    @property
    def initial_replicas(self) -> int:
        """The number of instances at the beginning."""
        return self._bounded(self._settings.initial_scale)

    @property
    def is_panicking(self) -> bool:
        """True in panic mode."""
        return self._panic_since is not None

    def begin(self, ready: int, now: float) -> None:
        """Begin in panic mode if several instances are ready: nothing is known of their load."""
        if ready > 1:
            self._panic_since, self._max_panic_pods = now, ready

    def record(self, load: Load, pods: Pods) -> None:
        """Take note of an interval's load; nobody reports without an instance and a request."""
        if pods.ready or load.in_system:
            self._stable.record(load.end, load.in_system)
            self._panic.record(load.end, load.in_system)

    def wake(self, now: float, pods: Pods) -> int:
        """Return the number of instances for the first request: the activator reports at once."""
        self._stable.record(now, 1.0)
        self._panic.record(now, 1.0)
        return self.replicas(now, pods)

    def replicas(self, now: float, pods: Pods) -> int:
        """Return the number of instances to have from now on."""
        if self._stable.is_empty(now):
            return pods.replicas
        decision = self.decide(now, pods.ready, self._stable.average(now), self._panic.average(now))
        wanted = self._toward_zero(now, self._bounded(decision.pods), pods)
        self._follow_activator(now, decision.excess_burst_capacity)
        return wanted

    def decide(self, now: float, ready: int, stable: float, panic: float) -> Decision:
        """Return the decision on the average concurrency of both windows."""
        settings = self._settings
        pods = max(ready, 1)
        most = math.ceil(settings.max_scale_up_rate * pods)
        least = math.floor(pods / settings.max_scale_down_rate)
        for_stable = math.ceil(stable / self._target)
        for_panic = math.ceil(panic / self._target)
        desired = self._activated(for_stable, min(max(for_stable, least), most))
        in_panic = self._activated(for_panic, min(max(for_panic, least), most))
        self._follow_panic(now, over=for_panic / pods >= settings.panic_threshold_percentage)
        if self.is_panicking:
            self._max_panic_pods = max(self._max_panic_pods, desired, in_panic)
            desired = self._max_panic_pods
        return Decision(self._delayed_down(now, desired), self._excess(ready, panic))

    def _activated(self, asked: int, limited: int) -> int:
        return max(limited, self._settings.activation_scale) if asked > 0 else limited

    def _follow_panic(self, now: float, *, over: bool) -> None:
        if over:
            self._panic_since = now
        elif self._panic_since is not None and now > (
            self._panic_since + self._settings.stable_window
        ):
            self._panic_since, self._max_panic_pods = None, 0

    def _delayed_down(self, now: float, desired: int) -> int:
        """Return the largest decision within the delay of scaling down."""
        if not self._settings.scale_down_delay:
            return desired
        self._delayed.append((now, desired))
        while self._delayed[0][0] <= now - self._settings.scale_down_delay:
            self._delayed.popleft()
        return max(pods for _, pods in self._delayed)

    def _excess(self, ready: int, panic: float) -> int:
        burst = self._settings.target_burst_capacity
        if burst <= 0:
            return burst
        return math.floor(ready * self._total - burst - panic)

    def _bounded(self, pods: int) -> int:
        """Return the number within min-scale and max-scale."""
        most = self._settings.max_scale or pods
        return max(self._settings.min_scale, min(pods, most))

    def _toward_zero(self, now: float, desired: int, pods: Pods) -> int:
        """Return the number on the way to zero: inactive first, then proxied for a grace period."""
        settings = self._settings
        if desired > 0 or not settings.enable_scale_to_zero:
            self._mark_wanted(now, pods)
            return max(desired, 1)
        since = now - self._status_since
        if self._status == "activating":
            if since < _ACTIVATION_SECONDS:
                return pods.replicas
            self._mark("inactive", now)
            return 0
        if self._status == "active":
            if since < settings.stable_window:
                return 1
            self._mark("inactive", now)  # the scale stays, and the activator gets into the path
            return pods.replicas
        grace = settings.scale_to_zero_grace_period
        proxied = self._proxy_since is not None and now - self._proxy_since >= grace
        return 0 if proxied else pods.replicas

    def _mark_wanted(self, now: float, pods: Pods) -> None:
        is_ready = pods.ready >= max(self._settings.min_scale, 1)
        self._mark("active" if is_ready else "activating", now)

    def _mark(self, status: Literal["active", "activating", "inactive"], now: float) -> None:
        if status != self._status:
            self._status, self._status_since = status, now

    def _follow_activator(self, now: float, excess: int) -> None:
        """Take note of since when the activator is in the path."""
        if self._status != "inactive" and excess >= 0:
            self._proxy_since = None
        elif self._proxy_since is None:
            self._proxy_since = now
