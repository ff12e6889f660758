"""Pods and nodes from `kubectl get pods,nodes --all-namespaces -o json`.

Pods of one owner with equal requests are one service; nodes that are equal are one kind of host.
Pods that have ended or are being deleted are left out; pods that run on every node take room there.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, TypeVar

import msgspec

from lab.planning.readers import text_files
from lab.planning.readers.kubernetes.nodes import capacity, group_nodes
from lab.planning.readers.kubernetes.objects import Node, Pod
from lab.planning.readers.kubernetes.placement import label_keys
from lab.planning.readers.kubernetes.requests import PODS, add, pod_requests
from lab.planning.readers.kubernetes.workloads import Workloads, belongs_to_node, has_ended
from lab.planning.readers.records import BrokenLines, inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.planning.inventory import Inventory
    from lab.planning.readers.kubernetes.requests import Quantities

T = TypeVar("T", Node, Pod)
_EXPECTED = "the JSON of `kubectl get pods,nodes -o json`"


class _List(msgspec.Struct):
    items: list[msgspec.Raw]
    kind: str = "List"


class _Item(msgspec.Struct):
    kind: str = ""
    items: list[msgspec.Raw] | None = None


def read(source: str) -> Inventory:
    """Return the workloads and nodes of a cluster. Raise InvalidConfig for another file.

    Broken lines have the place of the object in the list, from 1; lists within it are counted
    through.
    """
    path = text_files.path_of(source)
    broken = BrokenLines()
    listed = text_files.json_document(path, _List, _EXPECTED)
    workloads = Workloads()
    nodes: list[tuple[int, Node]] = []
    daemons: dict[str, Quantities] = {}
    places: dict[tuple[str, ...], int] = {}
    for number, kind, text in _objects(listed, broken):
        try:
            if kind == "Node":
                nodes.append((number, _new(number, text, Node, places)))
            elif kind == "Pod":
                _add(number, _new(number, text, Pod, places), workloads, daemons)
        except (msgspec.DecodeError, ValueError) as error:
            broken.add(number, str(error))
    groups = group_nodes(_offers(nodes, daemons, broken), label_keys(workloads.specs()))
    services = workloads.services(groups, broken)
    hosts = [group.host for group in groups]
    return inventory(path, "pods or nodes", services, hosts, broken)


def _objects(listed: _List, broken: BrokenLines) -> Iterator[tuple[int, str, msgspec.Raw]]:
    """Yield each object's place, kind and text; of lists within the list, their objects."""
    number = 0
    unread = [(iter(listed.items), listed.kind)]
    while unread:
        items, kind_of_list = unread[-1]
        text = next(items, None)
        if text is None:
            unread.pop()
            continue
        try:
            item = msgspec.json.decode(text, type=_Item)
        except (msgspec.DecodeError, ValueError) as error:
            number += 1
            broken.add(number, str(error))
            continue
        if item.items is not None and item.kind.endswith("List"):
            unread.append((iter(item.items), item.kind))
            continue
        number += 1
        yield number, item.kind or kind_of_list.removesuffix("List"), text


def _new(number: int, text: msgspec.Raw, kind: type[T], places: dict[tuple[str, ...], int]) -> T:
    """Return the object. Raise ValueError if it was in the list before, as after a merge of two."""
    found = msgspec.json.decode(text, type=kind)
    about = found.metadata
    key = (about.uid,) if about.uid else (kind.__name__, about.namespace, about.name)
    if (first := places.setdefault(key, number)) != number:
        raise ValueError(f"{about.path} is object {first} of the list again")
    return found


def _add(number: int, pod: Pod, workloads: Workloads, daemons: dict[str, Quantities]) -> None:
    """Add a pod to the workloads or, if it belongs to its node, to what is taken of that."""
    if has_ended(pod):
        return
    requests = pod_requests(pod.spec)
    if belongs_to_node(pod):
        name = pod.spec.node_name or ""
        daemons[name] = add(daemons.get(name, {}), {**requests, PODS: Fraction(1)})
    else:
        workloads.add(number, pod, requests)


def _offers(
    nodes: Sequence[tuple[int, Node]],
    daemons: dict[str, Quantities],
    broken: BrokenLines,
) -> list[tuple[Node, dict[str, Fraction]]]:
    """Return each node with what it offers beside its daemons."""
    offers = []
    for number, node in nodes:
        try:
            offers.append((node, capacity(node, daemons.get(node.metadata.name, {}))))
        except ValueError as error:
            broken.add(number, str(error))
    return offers
