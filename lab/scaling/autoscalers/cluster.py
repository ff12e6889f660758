"""Kubernetes' cluster autoscaler: nodes for pending instances, and the end of unneeded nodes.

Every ten seconds it adds as many nodes as the pending instances need beyond those that are on their
way. A node is unneeded when less than half of it is taken and its instances fit elsewhere; after
ten minutes of that it is removed, empty ones up to ten at once, of the others one at a time, whose
instances start again elsewhere. For ten minutes after a node was added none is removed.

(kubernetes/autoscaler, cluster-autoscaler/FAQ.md: "How does scale-up work?", "How does scale-down
work?" and the parameters' defaults)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.scaling.distributions import Described
from lab.scaling.nodes import fit_elsewhere
from lab.scaling.quantities import Number, Period, Price, Seconds, Share
from lab.scaling.table import Table

if TYPE_CHECKING:
    from lab.scaling.nodes import Node, Nodes

_MOST_EMPTY_AT_ONCE = 10


class Cluster(Table, frozen=True, kw_only=True):
    """The nodes, and the settings with the defaults of the flags.

    `node-start` is the time from the cloud's request until a node takes instances; `price` is that
    of a node.
    """

    nodes: Number
    instances_per_node: Number
    max_nodes: Number
    node_start: Described
    price: Price = Price(0.0)
    scan_interval: Period = Period(10.0)
    new_pod_scale_up_delay: Seconds = Seconds(0.0)
    scale_down_unneeded_time: Seconds = Seconds(600.0)
    scale_down_delay_after_add: Seconds = Seconds(600.0)
    scale_down_utilization_threshold: Share = Share(0.5)


@dataclass(frozen=True, slots=True)
class Change:
    """The number of nodes to add, and the nodes to remove, whose instances move."""

    add: int
    remove: tuple[Node, ...]


class ClusterAutoscaler:
    """The autoscaler of one group of equal nodes."""

    def __init__(self, settings: Cluster) -> None:
        self._settings = settings
        self._pending_since: float | None = None
        self._added_at = -math.inf

    def scan(self, now: float, pending: int, nodes: Nodes) -> Change:
        """Return the change at a scan."""
        if add := self._to_add(now, pending, nodes):
            self._added_at = now
            return Change(add, ())
        self._mark(now, nodes)
        if pending or now - self._added_at < self._settings.scale_down_delay_after_add:
            return Change(0, ())
        return Change(0, self._to_remove(now, nodes))

    def _to_add(self, now: float, pending: int, nodes: Nodes) -> int:
        if not pending:
            self._pending_since = None
            return 0
        if self._pending_since is None:
            self._pending_since = now
        if now - self._pending_since < self._settings.new_pod_scale_up_delay:
            return 0
        needed = math.ceil(pending / self._settings.instances_per_node)
        missing = needed - len(nodes.upcoming(now))
        return max(0, min(missing, self._settings.max_nodes - len(nodes.all)))

    def _mark(self, now: float, nodes: Nodes) -> None:
        """Take note of since when each node is unneeded."""
        ready = nodes.ready(now)
        for node in ready:
            is_unneeded = (
                node.utilization < self._settings.scale_down_utilization_threshold
                and fit_elsewhere(node, ready)
            )
            if not is_unneeded:
                node.unneeded_since = None
            elif node.unneeded_since is None:
                node.unneeded_since = now

    def _to_remove(self, now: float, nodes: Nodes) -> tuple[Node, ...]:
        """Return the nodes that were unneeded for long enough; the initial number stays."""
        spare = len(nodes.all) - self._settings.nodes
        ripe = [
            node for node in nodes.ready(now)
            if node.unneeded_since is not None
            and now - node.unneeded_since >= self._settings.scale_down_unneeded_time
        ]  # fmt: skip
        empty = [node for node in ripe if not node.instances]
        chosen = empty[:_MOST_EMPTY_AT_ONCE] or sorted(ripe, key=lambda node: node.instances)[:1]
        return tuple(chosen[: max(spare, 0)])
