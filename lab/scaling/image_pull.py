"""Image pulls: nodes that pull at the same time share the registry's bandwidth equally.

Each pull also has a link of its own, which limits it. So all pulls in progress run at the same
rate, and the next one to end is the one with the least left.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab.scaling.quantities import Bandwidth, Size
from lab.scaling.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator


class Image(Table, frozen=True, kw_only=True):
    """An image, and the registry that it is pulled from.

    `cached` says that the nodes which are there at the beginning have it already; a node that is
    added later never has it.
    """

    size: Size
    registry_bandwidth: Bandwidth
    node_bandwidth: Bandwidth = Bandwidth(math.inf)
    cached: bool = True


class Pulls:
    """The pulls in progress, by node, up to a time."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._now = 0.0
        self._left: dict[int, float] = {}  # bytes

    def begin(self, node: int) -> None:
        """Begin a pull at the time that `advance` has reached, unless the node pulls already."""
        self._left.setdefault(node, float(self._image.size))

    def advance(self, to: float) -> Iterator[tuple[float, int]]:
        """Yield the time and the node of each pull that ends up to a time, in order."""
        while self._left:
            node, least = min(self._left.items(), key=lambda item: item[1])
            share = self._image.registry_bandwidth / len(self._left)
            rate = min(share, self._image.node_bandwidth)
            end = self._now + least / rate
            if end > to:
                self._take((to - self._now) * rate)
                break
            self._take(least)
            del self._left[node]
            self._now = end
            yield end, node
        self._now = max(self._now, to)

    def _take(self, size: float) -> None:
        for node in self._left:
            self._left[node] = max(self._left[node] - size, 0.0)
