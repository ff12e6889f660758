"""Kubernetes' objects as its API writes them in JSON, with the fields that a plan needs."""

from __future__ import annotations

import msgspec

Amounts = dict[str, str | float]


class Owner(msgspec.Struct, frozen=True):
    """The object that made a pod: its replica set, job, daemon set or node."""

    kind: str
    name: str
    controller: bool = False


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """Name, labels and owners of an object."""

    name: str
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    owner_references: list[Owner] | None = None
    deletion_timestamp: str | None = None

    @property
    def path(self) -> str:
        """The namespace, if there is one, and the name."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Resources(msgspec.Struct, frozen=True):
    """The requests and limits of a container or pod."""

    requests: Amounts | None = None
    limits: Amounts | None = None


class Container(msgspec.Struct, frozen=True, rename="camel"):
    """A container; an init container that is always restarted is a sidecar."""

    name: str = ""
    resources: Resources | None = None
    restart_policy: str | None = None


class Expression(msgspec.Struct, frozen=True):
    """A condition on a label."""

    key: str
    operator: str
    values: list[str] | None = None


class Selector(msgspec.Struct, frozen=True, rename="camel"):
    """Conditions on labels that must all hold."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[Expression] | None = None


class NodeTerm(msgspec.Struct, frozen=True, rename="camel"):
    """Conditions on a node's labels, and on its fields."""

    match_expressions: list[Expression] | None = None
    match_fields: list[Expression] | None = None


class NodeSelector(msgspec.Struct, frozen=True, rename="camel"):
    """Terms of which one must hold."""

    node_selector_terms: list[NodeTerm]


class NodeAffinity(msgspec.Struct, frozen=True):
    """The nodes that a pod requires."""

    required: NodeSelector | None = msgspec.field(
        default=None, name="requiredDuringSchedulingIgnoredDuringExecution"
    )


class PodTerm(msgspec.Struct, frozen=True, rename="camel"):
    """Other pods, and the part of the cluster that is shared or not shared with them."""

    topology_key: str
    label_selector: Selector | None = None
    namespaces: list[str] | None = None
    namespace_selector: Selector | None = None


class PodAffinity(msgspec.Struct, frozen=True):
    """Pods that a pod requires to be near or apart."""

    required: list[PodTerm] | None = msgspec.field(
        default=None, name="requiredDuringSchedulingIgnoredDuringExecution"
    )


class Affinity(msgspec.Struct, frozen=True, rename="camel"):
    """A pod's requirements of nodes and of other pods."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class SpreadConstraint(msgspec.Struct, frozen=True, rename="camel"):
    """Parts of the cluster over which pods are spread."""

    topology_key: str
    max_skew: int = 1
    when_unsatisfiable: str = "DoNotSchedule"
    label_selector: Selector | None = None


class Toleration(msgspec.Struct, frozen=True):
    """A taint that a pod accepts; no key is any."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""


class PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A pod's containers, and where it may run."""

    containers: list[Container]
    init_containers: list[Container] | None = None
    overhead: Amounts | None = None
    resources: Resources | None = None
    node_name: str | None = None
    node_selector: dict[str, str] | None = None
    affinity: Affinity | None = None
    tolerations: list[Toleration] | None = None
    topology_spread_constraints: list[SpreadConstraint] | None = None


class PodStatus(msgspec.Struct, frozen=True):
    """A pod's phase: Pending, Running, Succeeded, Failed or Unknown."""

    phase: str = ""


class Pod(msgspec.Struct, frozen=True):
    """A pod."""

    metadata: Metadata
    spec: PodSpec
    status: PodStatus | None = None


class Taint(msgspec.Struct, frozen=True):
    """A reason for a node to repel pods."""

    key: str
    effect: str
    value: str = ""


class NodeSpec(msgspec.Struct, frozen=True):
    """A node's taints, and whether it is cordoned."""

    taints: list[Taint] | None = None
    unschedulable: bool = False


class NodeStatus(msgspec.Struct, frozen=True):
    """The amounts of a node that pods may take."""

    allocatable: Amounts | None = None


class Node(msgspec.Struct, frozen=True):
    """A node."""

    metadata: Metadata
    status: NodeStatus
    spec: NodeSpec | None = None
