"""Nodes as hosts: equal ones are one kind, with what the pods of each node's daemons leave.

A daemon set's pod runs on every node, so it takes room of the node and is no replica to place; the
same holds for static pods. Memory and disk are rounded down to MiB: equal machines differ by some
KiB.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from lab.planning.inventory import DISK_BYTES, MEMORY_BYTES, Host
from lab.planning.readers.kubernetes.objects import Taint
from lab.planning.readers.kubernetes.placement import allows
from lab.planning.readers.kubernetes.requests import quantities
from lab.planning.readers.records import above_zero, unique

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lab.planning.readers.kubernetes.objects import Node, PodSpec
    from lab.planning.readers.kubernetes.requests import Quantities

ZONE = "topology.kubernetes.io/zone"
RACK = "topology.kubernetes.io/rack"
_OLD_ZONE = "failure-domain.beta.kubernetes.io/zone"
_TYPE = "node.kubernetes.io/instance-type"
_OLD_TYPE = "beta.kubernetes.io/instance-type"
_MIB = 2**20
_CORDONED = Taint("node.kubernetes.io/unschedulable", "NoSchedule")


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Equal nodes as a kind of host, with the labels and taints that decide which pods may run."""

    host: Host
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]


@dataclass(frozen=True, slots=True)
class _Key:
    """The properties that make two nodes equal."""

    name: str
    zone: str
    rack: str
    capacity: tuple[tuple[str, float], ...]
    labels: tuple[tuple[str, str], ...]
    taints: tuple[Taint, ...]


def capacity(node: Node, taken: Mapping[str, Fraction]) -> Quantities:
    """Return what a node offers beside the amounts that are taken. Raise ValueError if unknown."""
    allocatable = quantities(node.status.allocatable)
    if not allocatable:
        raise ValueError(f"{node.metadata.name} states nothing that is allocatable")
    return {
        name: max(Fraction(0), value - taken.get(name, Fraction(0)))
        for name, value in allocatable.items()
    }


def group_nodes(
    nodes: Sequence[tuple[Node, Quantities]], label_keys: Collection[str]
) -> list[NodeGroup]:
    """Return the groups of equal nodes; `nodes` has each node with what it offers.

    Labels other than `label_keys` are not compared. A group is named by the nodes' instance type
    and zone, or by its first node.
    """
    first_names: dict[_Key, str] = {}
    counts: Counter[_Key] = Counter()
    for node, offered in nodes:
        key = _key(node, offered, label_keys)
        counts[key] += 1
        first_names.setdefault(key, node.metadata.name)
    taken: dict[str, int] = {}
    return [
        NodeGroup(
            Host(
                unique("/".join(filter(None, (key.zone, key.name or first_names[key]))), taken),
                dict(key.capacity),
                count=count,
                zone=key.zone,
                rack=key.rack,
            ),
            dict(key.labels),
            key.taints,
        )
        for key, count in counts.items()
    ]


def allowed_hosts(spec: PodSpec, groups: Sequence[NodeGroup]) -> frozenset[str] | None:
    """Return the names of the hosts that a pod may run on; None if it may run on all."""
    names = [group.host.name for group in groups if allows(spec, group.labels, group.taints)]
    return None if len(names) == len(groups) else frozenset(names)


def _key(node: Node, offered: Quantities, label_keys: Collection[str]) -> _Key:
    labels = node.metadata.labels or {}
    return _Key(
        name=labels.get(_TYPE) or labels.get(_OLD_TYPE, ""),
        zone=labels.get(ZONE) or labels.get(_OLD_ZONE, ""),
        rack=labels.get(RACK, ""),
        capacity=tuple(sorted(above_zero(_rounded(offered)).items())),
        labels=tuple(sorted((key, labels[key]) for key in label_keys if key in labels)),
        taints=_taints(node),
    )


def _taints(node: Node) -> tuple[Taint, ...]:
    """Return a node's taints in order; a cordoned one has its taint before a controller adds it."""
    if node.spec is None:
        return ()
    taints = {*(node.spec.taints or ()), *([_CORDONED] if node.spec.unschedulable else ())}
    return tuple(sorted(taints, key=lambda taint: (taint.key, taint.effect, taint.value)))


def _rounded(offered: Quantities) -> dict[str, float]:
    return {
        name: float(math.floor(value / _MIB) * _MIB)
        if name in {MEMORY_BYTES, DISK_BYTES}
        else float(value)
        for name, value in offered.items()
    }
