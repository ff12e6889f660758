"""The averages of Knative's metrics: a bucket for each second of a window.

(knative/serving, pkg/autoscaler/aggregation, TimedFloat64Buckets)
"""

from __future__ import annotations

import math
from collections import deque

_PRECISION = 1e6


class Buckets:
    """Values by second, and their average over a window.

    The average is over the seconds from the first value on, at most over the window: a second
    without a value counts as zero. Seconds after the last value don't count. When a whole window
    passes without a value, it begins anew.
    """

    def __init__(self, window_seconds: float) -> None:
        self._window = math.ceil(window_seconds)
        self._values: deque[tuple[int, float]] = deque()
        self._first = 0
        self._last: int | None = None

    def record(self, now: float, value: float) -> None:
        """Add a value to the bucket of its second."""
        second = math.floor(now)
        if self._last is None or second - self._last > self._window:
            self._first = second
            self._values.clear()
        self._last = second
        self._values.append((second, value))
        self._drop(second)

    def is_empty(self, now: float) -> bool:
        """Return True if the last value is older than the window."""
        return self._last is None or math.floor(now) - self._last > self._window

    def average(self, now: float) -> float:
        """Return the average, rounded down to six digits."""
        if self._last is None:
            return 0.0
        second = math.floor(now)
        late = max(second - self._last, 0)
        if late >= self._window:
            return 0.0
        total = sum(value for at, value in self._values if at > second - self._window)
        buckets = min(self._last - self._first + 1, self._window - late)
        return math.floor(total / buckets * _PRECISION) / _PRECISION

    def _drop(self, second: int) -> None:
        while self._values[0][0] <= second - self._window:
            self._values.popleft()
