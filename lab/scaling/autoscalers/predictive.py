"""A predictive autoscaler: instances for the largest load that is forecast until they are ready.

With a `period`, the forecast is the load one period before (the seasonal naive method). Until a
period has passed, and without one, the forecast is a straight line by double exponential smoothing.
(Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd edition, sections 5.2, 8.2)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab.scaling.quantities import Number, Period, Seconds, Share
from lab.scaling.table import Table

if TYPE_CHECKING:
    from lab.scaling.autoscalers.base import Load
    from lab.scaling.pool import Pods

_ROUNDING = 1e-9


class Predictive(Table, tag_field="kind", tag="predictive", frozen=True, kw_only=True):
    """The settings. The load is the average number of requests in the system.

    `horizon` is how far it looks ahead: at least the time that an instance takes to start. `period`
    is the length of a season, 0 without one.
    """

    target_utilization: Share = Share(0.7)
    tick: Period = Period(10.0)
    horizon: Period = Period(60.0)
    period: Seconds = Seconds(0.0)
    level_smoothing: Share = Share(0.5)
    trend_smoothing: Share = Share(0.3)
    min_replicas: Number = 1
    max_replicas: Number = 100


class PredictiveAutoscaler:
    """The autoscaler of one group."""

    def __init__(self, settings: Predictive, concurrency: int) -> None:
        self._settings = settings
        self._target = concurrency * settings.target_utilization
        self._sum = 0.0
        self._seconds = 0.0
        self._history: list[float] = []  # the average load of each tick
        self._level = 0.0
        self._trend = 0.0  # per tick

    @property
    def tick_seconds(self) -> float:
        """The time between decisions."""
        return float(self._settings.tick)

    @property
    def initial_replicas(self) -> int:
        """The number of instances at the beginning."""
        return self._settings.min_replicas

    def record(self, load: Load, pods: Pods) -> None:
        """Take note of an interval's load."""
        del pods
        self._sum += load.in_system * load.seconds
        self._seconds += load.seconds

    def wake(self, now: float, pods: Pods) -> int:
        """Return zero: the smallest group has an instance."""
        del now
        return pods.replicas

    def replicas(self, now: float, pods: Pods) -> int:
        """Return the number of instances to have from now on."""
        del now, pods
        load = self._sum / self._seconds if self._seconds else 0.0
        self._sum = self._seconds = 0.0
        self._smooth(load)
        self._history.append(load)
        wanted = math.ceil(max(load, self.forecast()) / self._target - _ROUNDING)
        return max(self._settings.min_replicas, min(wanted, self._settings.max_replicas))

    def forecast(self) -> float:
        """Return the largest load that is expected within the horizon."""
        ahead = math.ceil(self._settings.horizon / self._settings.tick)
        season = round(self._settings.period / self._settings.tick)
        if season and len(self._history) >= season:
            begin = len(self._history) - season
            return max(self._history[begin : begin + ahead + 1])
        return max(self._level, self._level + ahead * self._trend)

    def _smooth(self, load: float) -> None:
        """Follow the level and the trend by one tick. (Holt 1957)"""
        if not self._history:
            self._level = load
            return
        level, settings = self._level, self._settings
        self._level = settings.level_smoothing * load + (1 - settings.level_smoothing) * (
            level + self._trend
        )
        self._trend = (
            settings.trend_smoothing * (self._level - level)
            + (1 - settings.trend_smoothing) * self._trend
        )
