"""A plain simulation of a queue, an event at a time, as the reference of the fast one."""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass, field
from itertools import count

ARRIVAL, DEPARTURE, GIVING_UP, ADDED, REMOVED = range(5)


@dataclass
class Reference:
    """The queue: `began` by arrival, and the arrivals of lost requests."""

    slots: int
    waiting_limit: float = math.inf
    patience: float = math.inf
    began: dict[float, float] = field(default_factory=dict)
    rejected: list[float] = field(default_factory=list)
    gave_up: list[float] = field(default_factory=list)
    area_in_system: float = 0.0
    area_busy: float = 0.0

    def run(
        self,
        arrivals: list[float],
        services: list[float],
        added: list[float],
        removed: list[tuple[float, int]],
        end: float,
    ) -> None:
        """Serve all arrivals; slots are added one at a time, and removed in numbers."""
        order = count()
        events: list[tuple[float, int, int, float, float]] = []
        for arrival, service in zip(arrivals, services, strict=True):
            heapq.heappush(events, (arrival, next(order), ARRIVAL, arrival, service))
        for at in added:
            heapq.heappush(events, (at, next(order), ADDED, 0, 0))
        for at, number in removed:
            heapq.heappush(events, (at, next(order), REMOVED, number, 0))
        queue: deque[tuple[float, float]] = deque()
        busy: list[float] = []
        leaving: list[float] = []
        now = 0.0
        while events and events[0][0] < end:
            at, _, kind, what, service = heapq.heappop(events)
            self._area(now, at, len(queue), len(busy) + len(leaving))
            now = at
            if kind == ARRIVAL:
                if len(busy) >= self.slots and len(queue) >= self.waiting_limit:
                    self.rejected.append(what)
                else:
                    queue.append((what, service))
                    heapq.heappush(events, (what + self.patience, next(order), GIVING_UP, what, 0))
            elif kind == DEPARTURE:
                (busy if at in busy else leaving).remove(at)
            elif kind == GIVING_UP:
                if queue and queue[0][0] == what:
                    queue.popleft()
                    self.gave_up.append(what)
            elif kind == ADDED:
                self.slots += 1
            else:
                leaving += self._remove(int(what), busy)
            while queue and len(busy) < self.slots:
                arrival, work = queue.popleft()
                self.began[arrival] = now
                busy.append(now + work)
                heapq.heappush(events, (now + work, next(order), DEPARTURE, 0, 0))
        self._area(now, end, len(queue), len(busy) + len(leaving))

    def _remove(self, number: int, busy: list[float]) -> list[float]:
        """Remove every n-th slot in the order in which they become free; return the busy ones."""
        slots = [0.0] * (self.slots - len(busy)) + sorted(busy)
        chosen = [slots[place * self.slots // number] for place in range(number)]
        gone = [end for end in chosen if end]
        for end in gone:
            busy.remove(end)
        self.slots -= number
        return gone

    def _area(self, begin: float, end: float, waiting: int, served: int) -> None:
        self.area_in_system += (waiting + served) * (end - begin)
        self.area_busy += served * (end - begin)
