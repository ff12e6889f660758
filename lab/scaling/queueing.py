"""The queue of requests before a pool of slots, advanced from one change of the pool to the next.

Requests are served first come, first served, each by the slot that is free first; a slot is one
request that an instance works on at a time. A request that finds no free slot waits, unless `limit`
requests wait already: then it is rejected. A request that has waited for `patience` seconds gives
up. The start of a request follows from those before it alone (Kiefer and Wolfowitz, "On the theory
of queues with many servers", 1955), so an interval is computed in one of two ways, both exact:

- If every request finds a free slot, all begin when they arrive; one sort shows that.
- Otherwise one pass over the requests, with the times at which slots become free in a heap.

No object is made for a request, and the arrays hold no more than one interval's arrivals, those
that wait and those that are served.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from heapq import heapify, heapreplace
from typing import TYPE_CHECKING

import numpy as np

from lab.scaling.arrays import NONE

if TYPE_CHECKING:
    from lab.scaling.arrays import FloatArray

_CHUNK = 1 << 14  # of requests that are looked at at once
# In the place of a start, which is never below zero.
_REJECTED, _GAVE_UP, _WAITS = -1.0, -2.0, -3.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The most requests that wait, and the longest that one waits, in seconds."""

    waiting: float = math.inf
    patience: float = math.inf


@dataclass(frozen=True, eq=False, slots=True)
class Interval:
    """The requests of an interval: those that began in it, and those that were lost.

    `arrived`, `began` and `ended` are of the requests that began in it. `in_system` and `busy` are
    averages over time: of the requests that wait or are served, and of those that are served.
    """

    arrived: FloatArray
    began: FloatArray
    ended: FloatArray
    rejected: FloatArray
    gave_up: FloatArray
    in_system: float
    busy: float


class Queue:
    """The queue and its slots. `slots` counts those that take requests."""

    def __init__(self, slots: int, limits: Limits) -> None:
        self.slots = slots
        self._limits = limits
        self._busy: FloatArray = NONE  # when each busy slot becomes free
        self._leaving: FloatArray = NONE  # when the requests end that slots without a future serve
        self._arrived: FloatArray = NONE  # of the requests that wait
        self._services: FloatArray = NONE

    @property
    def waiting(self) -> FloatArray:
        """When the requests that wait arrived."""
        return self._arrived

    @property
    def in_service(self) -> int:
        """The number of requests that are served."""
        return len(self._busy) + len(self._leaving)

    def remove(self, slots: int) -> None:
        """Remove slots; those that are busy finish their requests.

        Load is balanced, so the removed ones hold their share of the requests: every n-th of all
        slots is removed, in the order in which they become free.
        """
        slots = min(slots, self.slots)
        if not slots:
            return
        idle = self.slots - len(self._busy)
        places = (np.arange(slots) * self.slots // slots) - idle
        busy = np.sort(self._busy)
        gone = np.zeros(len(busy), dtype=bool)
        gone[places[places >= 0]] = True
        self._leaving = np.concatenate((self._leaving, busy[gone]))
        self._busy = busy[~gone]
        self.slots -= slots

    def advance(
        self,
        begin: float,
        end: float,
        arrivals: FloatArray,
        services: FloatArray,
        added: FloatArray,
    ) -> Interval:
        """Serve an interval's arrivals, in order; `added` has when slots are added, in order."""
        in_service = _overlap(self._busy, begin, end) + _overlap(self._leaving, begin, end)
        if not len(self._arrived) and self._all_begin(arrivals, services, added):
            ended = arrivals + services
            busy = np.concatenate((self._busy, ended))
            self._busy = busy[busy > end]
            arrived = began = arrivals
            rejected, gave_up = NONE, NONE
        else:
            arrived, began, ended, rejected, gave_up = self._serve(
                begin, end, arrivals, services, added
            )
        self.slots += len(added)
        self._leaving = self._leaving[self._leaving > end]
        busy_time = in_service + float((np.minimum(ended, end) - began).sum())
        waiting_time = 0.0 if began is arrived else _waited(begin, arrived, began)
        waiting_time += _waited(begin, gave_up, gave_up + self._limits.patience)
        waiting_time += _waited(begin, self._arrived, np.full(len(self._arrived), end))
        length = end - begin
        return Interval(
            arrived, began, ended, rejected, gave_up,
            (busy_time + waiting_time) / length, busy_time / length,
        )  # fmt: skip

    def _all_begin(self, arrivals: FloatArray, services: FloatArray, added: FloatArray) -> bool:
        """Return True if a slot is free for each arrival."""
        count = len(arrivals)
        if len(self._busy) + count <= self.slots:
            return True
        ends = np.concatenate((self._busy, arrivals + services))
        ends.sort()
        served = len(self._busy) + np.arange(count) - np.searchsorted(ends, arrivals, "right")
        slots = self.slots + np.searchsorted(added, arrivals, "right") if len(added) else self.slots
        return bool((served < slots).all())

    def _serve(
        self,
        begin: float,
        end: float,
        arrivals: FloatArray,
        services: FloatArray,
        added: FloatArray,
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return arrival, begin and end of those that begin, and the arrivals of the lost ones."""
        # No more idle slots than requests can be used.
        idle = min(self.slots - len(self._busy), len(self._arrived) + len(arrivals))
        free = [*([begin] * idle), *self._busy.tolist(), *added.tolist()]
        one = _Pass(free, end, self._limits)
        before, seen = self._serve_waiting(one)
        arrived = np.concatenate((self._arrived[:seen], arrivals))
        work = np.concatenate((self._services[:seen], services))
        starts = np.concatenate((*before, one.serve(arrivals, services, self._limits.waiting)))
        waits = starts == _WAITS
        first, last = waits.copy(), waits.copy()
        first[seen:], last[:seen] = False, False
        self._arrived = np.concatenate((arrived[first], self._arrived[seen:], arrived[last]))
        self._services = np.concatenate((work[first], self._services[seen:], work[last]))
        ends = np.array(free)
        self._busy = ends[(ends > end) & (ends < math.inf)]
        begins = starts >= 0
        began = starts[begins]
        return (
            arrived[begins], began, began + work[begins],
            arrived[starts == _REJECTED], arrived[starts == _GAVE_UP],
        )  # fmt: skip

    def _serve_waiting(self, one: _Pass) -> tuple[list[FloatArray], int]:
        """Serve those that wait already; return their starts, and how many were looked at.

        Once one goes on waiting, all behind it do.
        """
        starts: list[FloatArray] = []
        seen, count = 0, len(self._arrived)
        while seen < count and not (starts and starts[-1][-1] == _WAITS):
            some = slice(seen, seen + _CHUNK)
            starts.append(one.serve(self._arrived[some], self._services[some], math.inf))
            seen = min(seen + _CHUNK, count)
        if self._limits.waiting < math.inf:
            one.keep_waiting(count - seen)
        return starts, seen


class _Pass:
    """One pass over the requests of an interval, with a heap of when slots become free."""

    def __init__(self, free: list[float], end: float, limits: Limits) -> None:
        heapify(free)
        if not free:
            free.append(math.inf)
        self._free = free
        self._end = end
        self._patience = limits.patience
        self._is_unlimited = limits == _UNLIMITED
        # When those that came into the queue left it, by a start or for lack of patience; infinite
        # for those that wait. Ascending, since requests start and lose their patience in order.
        self._left: list[float] = []

    def serve(self, arrivals: FloatArray, services: FloatArray, limit: float) -> FloatArray:
        """Serve requests in order, of which at most `limit` wait; return when each begins.

        A request that does not begin in the interval has _REJECTED, _GAVE_UP or _WAITS instead.
        """
        if not self._is_unlimited:
            return np.array(self._serve_limited(arrivals.tolist(), services.tolist(), limit))
        begun = self._serve_unlimited(arrivals.tolist(), services.tolist())
        starts = np.full(len(arrivals), _WAITS)
        starts[: len(begun)] = begun
        return starts

    def keep_waiting(self, number: int) -> None:
        """Leave so many requests in the queue that were in it before."""
        self._left += [math.inf] * number

    def _serve_unlimited(self, arrivals: list[float], services: list[float]) -> list[float]:
        """Return the starts of the requests that begin; all behind them wait."""
        free, end = self._free, self._end
        starts: list[float] = []
        add = starts.append
        for arrival, service in zip(arrivals, services, strict=True):
            start = free[0]
            if start < arrival:  # noqa: PLR1730 - a call of max() would take a third of the time
                start = arrival
            if start >= end:
                break
            heapreplace(free, start + service)
            add(start)
        return starts

    def _serve_limited(
        self, arrivals: list[float], services: list[float], limit: float
    ) -> list[float]:
        free, end, patience = self._free, self._end, self._patience
        left = self._left if limit else [math.inf]  # without a queue nobody enters
        starts: list[float] = []
        add, leave = starts.append, left.append
        # The queue is full unless the one in this place, so many before the next, has left it.
        place = len(left) - max(1, int(limit)) if limit < math.inf else -sys.maxsize
        for arrival, service in zip(arrivals, services, strict=True):
            start = free[0]
            if start <= arrival:  # a slot is free, so nobody waits
                heapreplace(free, arrival + service)
                add(arrival)
            elif place >= 0 and left[place] > arrival:
                add(_REJECTED)
            else:
                place += 1
                if start > arrival + patience and arrival + patience < end:
                    add(_GAVE_UP)
                    leave(arrival + patience)
                elif start < end:
                    heapreplace(free, start + service)
                    add(start)
                    leave(start)
                else:
                    add(_WAITS)
                    leave(math.inf)
        return starts


_UNLIMITED = Limits()


def _overlap(ends: FloatArray, begin: float, end: float) -> float:
    """Return the total time from `begin` until each end, at most until `end`."""
    return float((np.minimum(ends, end) - begin).sum())


def _waited(begin: float, arrived: FloatArray, left: FloatArray) -> float:
    """Return the total time from each arrival, at least from `begin`, until it left the queue."""
    return float((left - np.maximum(arrived, begin)).sum())
