"""The amounts that a pod requests and that a node offers, by the names of a plan's resources."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from lab.planning.inventory import CPUS, DISK_BYTES, GPUS, MEMORY_BYTES
from lab.planning.readers.kubernetes.quantities import quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.planning.readers.kubernetes.objects import Amounts, Container, PodSpec

PODS = "pods"
_NAMES = {
    "cpu": CPUS,
    "memory": MEMORY_BYTES,
    "ephemeral-storage": DISK_BYTES,
    "nvidia.com/gpu": GPUS,
}
_ALWAYS = "Always"
Quantities = dict[str, Fraction]


def quantities(amounts: Amounts | None) -> Quantities:
    """Return the amounts by resource. Raise ValueError, naming the resource, for a bad one.

    A resource that a plan has no name for keeps its own.
    """
    result = {}
    for name, value in (amounts or {}).items():
        try:
            result[_NAMES.get(name, name)] = quantity(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return result


def pod_requests(spec: PodSpec) -> Quantities:
    """Return what the scheduler reserves for a pod. Raise ValueError for a bad amount.

    Init containers run one after the other, beside the sidecars that were started before them; the
    others run at once with all sidecars. The larger of the two counts, and the overhead is added.
    Requests of the pod as a whole replace those of its containers. (Kubernetes, "Sidecar
    containers", resource sharing; KEP-753, KEP-2837)
    """
    sidecars: Quantities = {}
    peak: Quantities = {}
    for container in spec.init_containers or ():
        own = _container_requests(container)
        if container.restart_policy == _ALWAYS:
            sidecars = add(sidecars, own)
        else:
            peak = _larger(peak, add(sidecars, own))
    running = sidecars
    for container in spec.containers:
        running = add(running, _container_requests(container))
    total = _larger(peak, running)
    if spec.resources:
        total |= quantities(spec.resources.requests)
    return add(total, quantities(spec.overhead))


def add(first: Mapping[str, Fraction], second: Mapping[str, Fraction]) -> Quantities:
    """Return the sums by resource."""
    zero = Fraction(0)
    return {name: first.get(name, zero) + second.get(name, zero) for name in {**first, **second}}


def _container_requests(container: Container) -> Quantities:
    """Return a container's requests; what it does not request is its limit, as the API fills in."""
    if container.resources is None:
        return {}
    limits = quantities(container.resources.limits)
    return {**limits, **quantities(container.resources.requests)}


def _larger(first: Mapping[str, Fraction], second: Mapping[str, Fraction]) -> Quantities:
    zero = Fraction(0)
    return {
        name: max(first.get(name, zero), second.get(name, zero)) for name in {**first, **second}
    }
