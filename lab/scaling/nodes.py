"""The nodes of a cluster: where instances are placed, and which nodes are not needed."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True)
class Node:
    """One node, from its request at `begin` on; it takes instances from `ready_at` on."""

    number: int
    begin: float
    ready_at: float
    room: float
    has_image: bool
    instances: int = 0
    starting: int = 0
    unneeded_since: float | None = None

    @property
    def free(self) -> float:
        """The number of instances that it still takes."""
        return self.room - self.instances

    @property
    def utilization(self) -> float:
        """The share of its room that is taken."""
        return self.instances / self.room


class Nodes:
    """The nodes by number. Without a limit of `room`, a node takes any number of instances."""

    def __init__(self, count: int, room: float = math.inf, *, have_image: bool = True) -> None:
        self.all: dict[int, Node] = {}
        self._room = room
        self._next = 0
        self._seconds = 0.0
        for _ in range(count):
            self.add(0.0, 0.0, has_image=have_image)

    def add(self, begin: float, ready_at: float, *, has_image: bool = False) -> Node:
        """Add a node that is requested at `begin`."""
        node = Node(self._next, begin, ready_at, self._room, has_image)
        self.all[node.number] = node
        self._next += 1
        return node

    def remove(self, node: Node, now: float) -> None:
        """Remove a node."""
        self._seconds += now - node.begin
        del self.all[node.number]

    def ready(self, now: float) -> list[Node]:
        """Return the nodes that take instances."""
        return [node for node in self.all.values() if node.ready_at <= now]

    def upcoming(self, now: float) -> list[Node]:
        """Return the nodes that were requested and are not ready."""
        return [node for node in self.all.values() if node.ready_at > now]

    def place(self, count: int, now: float) -> list[Node]:
        """Place up to `count` instances, each on the node with the fewest; return their nodes."""
        heap = [(node.instances, node.number) for node in self.ready(now) if node.free >= 1]
        heapq.heapify(heap)
        placed: list[Node] = []
        while heap and len(placed) < count:
            node = self.all[heap[0][1]]
            node.instances += 1
            placed.append(node)
            if node.free >= 1:
                heapq.heapreplace(heap, (node.instances, node.number))
            else:
                heapq.heappop(heap)
        return placed

    def seconds(self, now: float) -> float:
        """Return the total time of all nodes, from their requests until their removal."""
        return self._seconds + sum(now - node.begin for node in self.all.values())


def fit_elsewhere(node: Node, others: Iterable[Node]) -> bool:
    """Return True if a node's instances fit into the free room of other nodes."""
    return node.instances <= sum(each.free for each in others if each is not node)
