"""Pods as services: those of one owner that are equal are the replicas of one service."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from lab.planning.inventory import CPUS, MEMORY_BYTES, Service
from lab.planning.readers.kubernetes.nodes import RACK, ZONE, allowed_hosts
from lab.planning.readers.kubernetes.placement import HOSTNAME, selects, selects_namespace
from lab.planning.readers.kubernetes.requests import PODS
from lab.planning.readers.records import above_zero, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from fractions import Fraction

    from lab.planning.readers.kubernetes.nodes import NodeGroup
    from lab.planning.readers.kubernetes.objects import Pod, PodSpec, PodTerm
    from lab.planning.readers.records import BrokenLines

_DOMAINS = {
    ZONE: "zone",
    "failure-domain.beta.kubernetes.io/zone": "zone",
    RACK: "rack",
}
_TEMPLATE_HASH = "pod-template-hash"
_ON_EVERY_NODE = frozenset({"DaemonSet", "Node"})
_ENDED = frozenset({"Succeeded", "Failed"})


@dataclass(slots=True)
class Workload:
    """Equal pods of one owner. `number` is the place of the first in the file."""

    number: int
    name: str
    namespace: str
    labels: Mapping[str, str]
    spec: PodSpec
    requests: Mapping[str, float]
    replicas: int = 0


def has_ended(pod: Pod) -> bool:
    """Return True if a pod takes nothing any more, or is being deleted."""
    phase = pod.status.phase if pod.status else ""
    return phase in _ENDED or pod.metadata.deletion_timestamp is not None


def belongs_to_node(pod: Pod) -> bool:
    """Return True if a pod runs on each node as a part of it: a daemon's, or a static pod."""
    return any(owner.kind in _ON_EVERY_NODE for owner in pod.metadata.owner_references or ())


class Workloads:
    """The workloads of the pods that were added, and the services that they make."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], Workload] = {}
        self._names: dict[str, int] = {}

    def add(self, number: int, pod: Pod, requests: Mapping[str, Fraction]) -> None:
        """Count a pod as a replica. Raise ValueError if it requests neither CPU nor memory."""
        if not requests.get(CPUS) and not requests.get(MEMORY_BYTES):
            raise ValueError(
                f"{pod.metadata.path} requests neither CPU nor memory: state what it takes"
            )
        amounts = above_zero({name: float(value) for name, value in requests.items()})
        namespace, owner = pod.metadata.namespace, _owner_name(pod)
        key = (namespace, owner, tuple(sorted(amounts.items())), _placement(pod.spec))
        if key not in self._found:
            name = unique(f"{namespace}/{owner}" if namespace else owner, self._names)
            self._found[key] = Workload(
                number, name, namespace, pod.metadata.labels or {}, pod.spec, amounts
            )
        self._found[key].replicas += 1

    def specs(self) -> list[PodSpec]:
        """Return what each workload's pods ask for."""
        return [workload.spec for workload in self._found.values()]

    def services(self, groups: Sequence[NodeGroup], broken: BrokenLines) -> list[Service]:
        """Return a service for each workload; what a plan can't keep is reported by its first pod.

        Without nodes, pods are not counted as a resource of their own.
        """
        found = [
            service
            for workload in self._found.values()
            if (service := self._service(workload, groups, broken)) is not None
        ]
        names = {service.name for service in found}
        return [replace(each, apart_from=each.apart_from & names) for each in found]

    def _service(
        self, workload: Workload, groups: Sequence[NodeGroup], broken: BrokenLines
    ) -> Service | None:
        hosts = allowed_hosts(workload.spec, groups)
        if groups and hosts is not None and not hosts:
            broken.add(
                workload.number,
                f"{workload.name}: no node has the labels that it asks for and only taints that it"
                " tolerates: it is left out",
            )
            return None
        own_terms, apart, further = self._anti_affinity(workload)
        spread, max_skew = _spread(workload, own_terms)
        domains = {
            (group.host.zone, group.host.rack if spread == "rack" else "")
            for group in groups
            if (hosts is None or group.host.name in hosts)
            and (group.host.rack if spread == "rack" else group.host.zone)
        }
        for reason in (*_ignored(workload), *further):
            broken.add(workload.number, f"{workload.name}: {reason} is ignored")
        if 1 < len(domains) < workload.replicas and _levels(own_terms):
            broken.add(
                workload.number,
                f"{workload.name}: its podAntiAffinity allows a replica in each of {len(domains)}"
                f" {spread}s, and it has {workload.replicas}: they are only spread",
            )
        return Service(
            name=workload.name,
            replicas=workload.replicas,
            requests={**workload.requests, PODS: 1.0} if groups else dict(workload.requests),
            per_host=1 if HOSTNAME in own_terms else None,
            apart_from=frozenset(apart),
            spread=spread if len(domains) > 1 else None,
            max_skew=max_skew,
            hosts=hosts,
        )

    def _anti_affinity(self, workload: Workload) -> tuple[set[str], set[str], list[str]]:
        """Return the topologies of single replicas, services to be apart from, and further rules.

        A plan does not keep the latter: hosts of other services are apart, not their zones.
        """
        own_terms: set[str] = set()
        apart: set[str] = set()
        further: list[str] = []
        for term in _anti_terms(workload.spec):
            for other in self._found.values():
                if not selects_namespace(term, workload.namespace, other.namespace) or not selects(
                    term.label_selector, other.labels
                ):
                    continue
                if other is workload:
                    own_terms.add(term.topology_key)
                elif term.topology_key == HOSTNAME:
                    apart.add(other.name)
                elif term.topology_key in _DOMAINS:
                    further.append(f"its podAntiAffinity to {other.name} over {term.topology_key}")
        return own_terms, apart, further


def _owner_name(pod: Pod) -> str:
    """Return the name of a pod's controller, and of its deployment where that is known."""
    owners = pod.metadata.owner_references or []
    owner = next((each for each in owners if each.controller), owners[0] if owners else None)
    if owner is None:
        return pod.metadata.name
    template = (pod.metadata.labels or {}).get(_TEMPLATE_HASH)
    return owner.name.removesuffix(f"-{template}") if template else owner.name


def _placement(spec: PodSpec) -> bytes:
    """Return the part of a pod's description that decides where it may run, as a key."""
    return msgspec.json.encode(
        (spec.node_selector, spec.affinity, spec.tolerations, spec.topology_spread_constraints),
        order="sorted",
    )


def _anti_terms(spec: PodSpec) -> Sequence[PodTerm]:
    affinity = spec.affinity.pod_anti_affinity if spec.affinity else None
    return (affinity.required if affinity else None) or ()


def _spread(workload: Workload, own_terms: set[str]) -> tuple[str | None, int]:
    """Return the failure domain that the workload is spread over, and the skew that it allows."""
    if levels := _levels(own_terms):
        return ("zone" if "zone" in levels else "rack"), 1
    for constraint in workload.spec.topology_spread_constraints or ():
        if (
            constraint.when_unsatisfiable == "DoNotSchedule"
            and constraint.topology_key in _DOMAINS
            and selects(constraint.label_selector, workload.labels)
        ):
            return _DOMAINS[constraint.topology_key], constraint.max_skew
    return None, 1


def _levels(own_terms: set[str]) -> set[str]:
    """Return the failure domains of which each has one replica; one in a zone is one in a rack."""
    return {_DOMAINS[key] for key in own_terms if key in _DOMAINS}


def _ignored(workload: Workload) -> Iterator[str]:
    """Yield what the workload requires and a plan does not keep."""
    spec = workload.spec
    affinity = spec.affinity
    if affinity and affinity.pod_affinity and affinity.pod_affinity.required:
        yield "its required podAffinity"
    for term in _anti_terms(spec):
        if term.topology_key != HOSTNAME and term.topology_key not in _DOMAINS:
            yield f"its podAntiAffinity over {term.topology_key}"
    hard = [
        constraint.topology_key
        for constraint in spec.topology_spread_constraints or ()
        if constraint.when_unsatisfiable == "DoNotSchedule"
    ]
    for place, key in enumerate(hard):
        if key not in _DOMAINS or place > next(
            (n for n, each in enumerate(hard) if each in _DOMAINS), place
        ):
            yield f"its topologySpreadConstraint over {key}"
