"""The pool of instances: pending without a node, pulling the image, starting, ready.

Instances are removed in the order of Kubernetes' ReplicaSet: those that are not ready first, then
those that became ready last.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.scaling.arrays import FloatArray
    from lab.scaling.image_pull import Pulls
    from lab.scaling.nodes import Node, Nodes
    from lab.scaling.start_times import StartTimes


@dataclass(frozen=True, slots=True)
class Pods:
    """Instances as an autoscaler sees them.

    `replicas` is the number that was last asked for; `ready_since` has the time at which each ready
    one became ready, ascending.
    """

    replicas: int
    ready_since: Sequence[float]

    @property
    def ready(self) -> int:
        """The number of ready instances."""
        return len(self.ready_since)


class Pool:
    """The instances of one kind; `replicas` is the number that was last asked for."""

    def __init__(
        self,
        starts: StartTimes,
        nodes: Nodes,
        pulls: Pulls | None,
        chance: np.random.Generator,
    ) -> None:
        self.nodes = nodes
        self.replicas = 0
        self.pending = 0
        self.largest_at_once = 0
        self._starts = starts
        self._pulls = pulls
        self._chance = chance
        # By node: when each was placed there, and how long it will take to start.
        self._pulling: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        self._starting: list[tuple[float, int, float]] = []  # a heap: ready at, node, placed at
        self._started = 0
        self._start_seconds = 0.0
        self._ready_since: list[float] = []
        self._ready_on: list[int] = []
        self._seconds = 0.0
        self._counted_to = 0.0

    def begin_with(self, count: int) -> None:
        """Begin with ready instances, as many as there is room for."""
        placed = self.nodes.place(count, 0.0)
        for node in placed:
            node.has_image = True
            self._ready_since.append(0.0)
            self._ready_on.append(node.number)
        self.replicas = count
        self.pending = count - len(placed)

    @property
    def placed(self) -> int:
        """The number of instances that have a node."""
        return self.replicas - self.pending

    @property
    def ready(self) -> int:
        """The number of ready instances."""
        return len(self._ready_since)

    def pods(self) -> Pods:
        """Return the instances as an autoscaler sees them."""
        return Pods(self.replicas, tuple(self._ready_since))

    def request(self, count: int, now: float) -> None:
        """Request more instances; those without room on a node are pending."""
        self._count(now)
        self.replicas += count
        self.pending += count
        self._place(now)

    def remove(self, count: int, now: float) -> int:
        """Remove instances; return how many of them were ready."""
        self._count(now)
        self.replicas -= count
        pending = min(count, self.pending)
        self.pending -= pending
        starting = self._remove_starting(count - pending)
        ready = count - pending - starting
        for _ in range(ready):
            self._ready_since.pop()
            self.nodes.all[self._ready_on.pop()].instances -= 1
        return ready

    def drain(self, node: Node, now: float) -> int:
        """Move a node's instances: remove them and request as many; return how many were ready."""
        self._count(now)
        moved, number = node.instances, node.number
        kept = [place for place, on in enumerate(self._ready_on) if on != number]
        ready = len(self._ready_on) - len(kept)
        self._ready_since = [self._ready_since[place] for place in kept]
        self._ready_on = [self._ready_on[place] for place in kept]
        self._starting = [each for each in self._starting if each[1] != number]
        heapq.heapify(self._starting)
        self._pulling.pop(number, None)
        self.nodes.remove(node, now)
        self.pending += moved
        self._place(now)
        return ready

    def advance(self, end: float) -> FloatArray:
        """Go on to a time; return when instances became ready before it, in order."""
        joining = [node.ready_at for node in self.nodes.all.values() if node.ready_at < end]
        for at in sorted(set(joining)) if self.pending else ():
            if at > self._counted_to:
                self._count(at)
                self._place(at)
        self._pull_to(end)
        ready = []
        while self._starting and self._starting[0][0] < end:
            at, number, placed_at = heapq.heappop(self._starting)
            self._started += 1
            self._start_seconds += at - placed_at
            self.nodes.all[number].starting -= 1
            self._ready_since.append(at)
            self._ready_on.append(number)
            ready.append(at)
        return np.array(ready)

    @property
    def mean_start_seconds(self) -> float | None:
        """The mean time from an instance's place on a node until it was ready; None if unknown."""
        return self._start_seconds / self._started if self._started else None

    def seconds(self, now: float) -> float:
        """Return the total time of all instances, each from its place on a node on."""
        self._count(now)
        return self._seconds

    def _count(self, now: float) -> None:
        if now > self._counted_to:
            self._seconds += self.placed * (now - self._counted_to)
            self._counted_to = now

    def _place(self, now: float) -> None:
        """Give pending instances a node, and begin to start them there."""
        self._pull_to(now)
        nodes = self.nodes.place(self.pending, now) if self.pending else []
        if not nodes:
            return
        self.pending -= len(nodes)
        for node in nodes:
            node.starting += 1
        at_once = np.array([node.starting for node in nodes], dtype=float)
        self.largest_at_once = max(self.largest_at_once, int(at_once.max()))
        times = self._starts.draw(self._chance, at_once)
        for node, time in zip(nodes, times.tolist(), strict=True):
            if self._pulls is None or node.has_image:
                heapq.heappush(self._starting, (now + time, node.number, now))
            else:
                self._pulls.begin(node.number)
                self._pulling[node.number].append((now, time))

    def _pull_to(self, to: float) -> None:
        if self._pulls is None:
            return
        for at, number in self._pulls.advance(to):
            if number in self.nodes.all:
                self.nodes.all[number].has_image = True
                for placed_at, time in self._pulling.pop(number, []):
                    heapq.heappush(self._starting, (at + time, number, placed_at))

    def _remove_starting(self, count: int) -> int:
        """Remove up to `count` instances that are not ready, the latest first."""
        removed = 0
        for number in list(self._pulling):
            while self._pulling[number] and removed < count:
                self._pulling[number].pop()
                self._forget(number)
                removed += 1
        keep = max(len(self._starting) - (count - removed), 0)
        ordered = sorted(self._starting)
        for _, number, _ in ordered[keep:]:
            self._forget(number)
        removed += len(ordered) - keep
        self._starting = ordered[:keep]  # a sorted list is a heap
        return removed

    def _forget(self, number: int) -> None:
        node = self.nodes.all[number]
        node.instances -= 1
        node.starting -= 1
