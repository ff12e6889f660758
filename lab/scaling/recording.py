"""The record of one replication: counts and response times by the time of arrival.

Time is divided into at most 600 bins of whole seconds, so that the size of a record depends neither
on the number of requests nor on the simulated time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from lab.scaling import latencies

if TYPE_CHECKING:
    from lab.scaling.arrays import FloatArray, IntArray
    from lab.scaling.queueing import Interval

_MOST_BINS = 600


@dataclass(frozen=True, slots=True)
class Timing:
    """The bins of a scenario, what counts as late, and when the peak is.

    What arrives before `warm_up` is not counted.
    """

    duration: float
    warm_up: float
    objective: float
    peak: tuple[float, float] | None

    @property
    def bin_seconds(self) -> int:
        """The length of a bin."""
        return max(1, math.ceil(self.duration / _MOST_BINS))

    @property
    def bins(self) -> int:
        """The number of bins."""
        return math.ceil(self.duration / self.bin_seconds)


@dataclass(frozen=True, eq=False, slots=True)
class Record:
    """One replication of one variant.

    By bin: the requests that were `answered`, those of them that were `late`, those that were
    `rejected` and those that `gave_up`, the `unanswered` ones that waited at the end, those of
    them that were `waiting_too_long`, the average numbers of `ready` instances and of
    `replicas` asked for, and the histogram of `latencies`. `peak_arrived` and `peak_missed` are of
    the peak; a missed request is one that was lost, late, or waits at the end for longer than the
    objective. `start_seconds` is the mean of the instances that became ready, None without one.
    """

    answered: IntArray
    late: IntArray
    rejected: IntArray
    gave_up: IntArray
    unanswered: IntArray
    waiting_too_long: IntArray
    ready: FloatArray
    replicas: FloatArray
    latencies: IntArray
    peak_arrived: int
    peak_missed: int
    instance_seconds: float
    node_seconds: float
    most_at_once: int
    start_seconds: float | None

    @property
    def arrived(self) -> IntArray:
        """The requests that arrived, by bin."""
        return self.answered + self.rejected + self.gave_up + self.unanswered

    @property
    def lost(self) -> IntArray:
        """The requests that were rejected or gave up, by bin."""
        return self.rejected + self.gave_up

    @property
    def missed(self) -> IntArray:
        """The requests without an answer within the objective, by bin."""
        return self.lost + self.late + self.waiting_too_long


class Recorder:
    """The growing record of one replication."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        count = timing.bins
        self._counts = {
            name: np.zeros(count, dtype=np.int64)
            for name in ("answered", "late", "rejected", "gave_up", "unanswered", "too_long")
        }
        self._ready = np.zeros(count)
        self._replicas = np.zeros(count)
        self._seconds = np.zeros(count)
        self._latencies = np.zeros((count, latencies.COUNT), dtype=np.int64)
        self._peak_arrived = self._peak_missed = 0

    def add(self, interval: Interval) -> None:
        """Take note of an interval's requests."""
        arrived, ended = self._counted(interval.arrived, interval.ended)
        if len(arrived):
            times = ended - arrived
            places = self._places(arrived)
            late = times > self._timing.objective
            self._add("answered", places)
            if late.any():
                self._add("late", places[late])
            self._add_latencies(places, times)
            self._add_to_peak(arrived, late)
        for name, lost in (("rejected", interval.rejected), ("gave_up", interval.gave_up)):
            if len(lost):
                (counted,) = self._counted(lost)
                self._add(name, self._places(counted))
                self._add_to_peak(counted, np.ones(len(counted), dtype=bool))

    def add_pool(self, begin: float, end: float, ready: float, replicas: int) -> None:
        """Take note of the instances of an interval."""
        place = min(int(begin / self._timing.bin_seconds), self._timing.bins - 1)
        self._ready[place] += ready * (end - begin)
        self._replicas[place] += replicas * (end - begin)
        self._seconds[place] += end - begin

    def finish(
        self,
        waiting: FloatArray,
        instance_seconds: float,
        node_seconds: float,
        most_at_once: int,
        start_seconds: float | None,
    ) -> Record:
        """Return the record; `waiting` has the arrivals of the requests that wait at the end."""
        (waiting,) = self._counted(waiting)
        too_long = self._timing.duration - waiting > self._timing.objective
        self._add("unanswered", self._places(waiting))
        self._add("too_long", self._places(waiting[too_long]))
        self._add_to_peak(waiting, too_long)
        counts = self._counts
        seconds = np.maximum(self._seconds, np.finfo(float).tiny)
        return Record(
            counts["answered"], counts["late"], counts["rejected"], counts["gave_up"],
            counts["unanswered"], counts["too_long"], self._ready / seconds,
            self._replicas / seconds, self._latencies, self._peak_arrived, self._peak_missed,
            instance_seconds, node_seconds, most_at_once, start_seconds,
        )  # fmt: skip

    def _counted(self, arrived: FloatArray, *others: FloatArray) -> tuple[FloatArray, ...]:
        """Return the arrays without what arrived during the warm-up."""
        warm_up = self._timing.warm_up
        if not warm_up or not len(arrived) or arrived[0] >= warm_up:
            return arrived, *others
        counted = arrived >= warm_up
        return arrived[counted], *(other[counted] for other in others)

    def _places(self, arrived: FloatArray) -> IntArray:
        places = (arrived / self._timing.bin_seconds).astype(np.int64)
        return np.minimum(places, self._timing.bins - 1)

    def _add(self, name: str, places: IntArray) -> None:
        if len(places):
            first, last = int(places.min()), int(places.max())
            if first == last:
                self._counts[name][first] += len(places)
            else:
                added = np.bincount(places - first)
                self._counts[name][first : last + 1] += added

    def _add_latencies(self, places: IntArray, times: FloatArray) -> None:
        bins = latencies.bins(times)
        first, last = int(places.min()), int(places.max())
        if first == last:
            self._latencies[first] += np.bincount(bins, minlength=latencies.COUNT)
            return
        flat = np.bincount(
            (places - first) * latencies.COUNT + bins,
            minlength=(last - first + 1) * latencies.COUNT,
        )
        self._latencies[first : last + 1] += flat.reshape(-1, latencies.COUNT)

    def _add_to_peak(self, arrived: FloatArray, missed: npt.NDArray[np.bool_]) -> None:
        if not self._timing.peak or not len(arrived):
            return
        begin, end = self._timing.peak
        if arrived[-1] < begin or arrived[0] >= end:
            return
        inside = (arrived >= begin) & (arrived < end)
        self._peak_arrived += int(inside.sum())
        self._peak_missed += int((inside & missed).sum())
