"""Alibaba's GPU trace of 2023: its pods (openb_pod_list_*.csv) and nodes (openb_node_list_*.csv).

A folder has one list of each; a file is either. Pods with equal requests are one service, nodes
with equal capacities one kind of host. All pods of the list are counted, in whatever phase they
ended: the trace is a load of so many pods.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lab.errors import InvalidConfig
from lab.planning.inventory import CPUS, GPUS, MEMORY_BYTES, Host, Inventory, Service
from lab.planning.readers import text_files
from lab.planning.readers.records import (
    MIB,
    BrokenLines,
    above_zero,
    amount,
    apply_each,
    inventory,
    require_cpu_or_memory,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_POD_COLUMNS = ("cpu_milli", "memory_mib", "num_gpu", "gpu_milli")
_NODE_COLUMNS = ("cpu_milli", "memory_mib", "gpu")


class _Pod(NamedTuple):
    """A pod's requests, and the models of GPU of which it needs one; none is any."""

    cpu_milli: float
    memory_mib: float
    gpu_milli: float
    models: frozenset[str]


class _Node(NamedTuple):
    """A node's capacity, and the model of its GPUs."""

    cpu_milli: float
    memory_mib: float
    gpus: float
    model: str

    def __str__(self) -> str:
        size = f"{self.cpu_milli / 1000:.12g} CPUs, {self.memory_mib:.12g} MiB"
        return f"{size}, {self.gpus:.12g} × {self.model}" if self.gpus else size


def read(source: str) -> Inventory:
    """Return the pods and nodes of a folder with one list of each, or of one such list.

    A pod takes `num_gpu` × `gpu_milli` / 1000 GPUs. Which cards of a node it takes them from is not
    modelled: two halves of different cards count as one. Raise InvalidConfig for other files.
    """
    path = text_files.path_of(source)
    broken = BrokenLines()
    pods: Counter[_Pod] = Counter()
    nodes: Counter[_Node] = Counter()
    for file in _files(path):
        broken.file = file.name if path.is_dir() else ""
        rows = text_files.rows(file, broken)
        number, header = next(rows, (1, []))
        places = {name.strip(): place for place, name in reversed([*enumerate(header)])}
        if places.keys() >= set(_POD_COLUMNS):
            apply_each(rows, broken, partial(_count_pod, pods, places))
        elif places.keys() >= set(_NODE_COLUMNS):
            apply_each(rows, broken, partial(_count_node, nodes, places))
        else:
            broken.add(number, "its columns are neither those of pods nor those of nodes")
    hosts = [_host(node, count) for node, count in nodes.items()]
    services = [_service(pod, count, list(nodes)) for pod, count in pods.items()]
    return inventory(path, "a list of openb's pods or nodes", services, hosts, broken)


def _files(path: Path) -> list[Path]:
    """Return the lists of a folder. Raise InvalidConfig if it has none, or several of one kind."""
    if not path.is_dir():
        return [path]
    found = []
    for kind in ("node", "pod"):
        lists = sorted(path.glob(f"openb_{kind}_list*.csv*"))
        if len(lists) > 1:
            raise InvalidConfig(
                f"{path} has several lists of {kind}s, {lists[0].name} and {lists[1].name}: keep"
                " one, or name the file."
            )
        found += lists
    if not found:
        raise InvalidConfig(f"{path} has neither openb_pod_list_*.csv nor openb_node_list_*.csv.")
    return found


def _count_pod(pods: Counter[_Pod], places: dict[str, int], row: Sequence[str]) -> None:
    cpu, memory, gpus, each = _amounts(row, places, _POD_COLUMNS)
    require_cpu_or_memory(cpu, memory)
    spec = _field(row, places, "gpu_spec")
    models = filter(None, spec.split("|")) if spec != "nan" else ()
    pods[_Pod(cpu, memory, gpus * each, frozenset(models))] += 1


def _count_node(nodes: Counter[_Node], places: dict[str, int], row: Sequence[str]) -> None:
    cpu, memory, gpus = _amounts(row, places, _NODE_COLUMNS)
    require_cpu_or_memory(cpu, memory)
    nodes[_Node(cpu, memory, gpus, _field(row, places, "model"))] += 1


def _amounts(row: Sequence[str], places: dict[str, int], names: Sequence[str]) -> list[float]:
    return [amount(_field(row, places, name), name) for name in names]


def _field(row: Sequence[str], places: dict[str, int], name: str) -> str:
    place = places.get(name, len(row))
    return row[place].strip() if place < len(row) else ""


def _host(node: _Node, count: int) -> Host:
    capacity = {
        CPUS: node.cpu_milli / 1000,
        MEMORY_BYTES: node.memory_mib * MIB,
        GPUS: node.gpus,
    }
    return Host(str(node), above_zero(capacity), count=count)


def _service(pod: _Pod, count: int, nodes: Sequence[_Node]) -> Service:
    requests = {
        CPUS: pod.cpu_milli / 1000,
        MEMORY_BYTES: pod.memory_mib * MIB,
        GPUS: pod.gpu_milli / 1000,
    }
    cpu, memory, gpu = (f"{value:.12g}" for value in pod[:3])
    name = f"{cpu}m CPU, {memory} MiB, {gpu}m GPU"
    models = "|".join(sorted(pod.models))
    hosts = frozenset(str(node) for node in nodes if node.model in pod.models)
    return Service(
        f"{name} of {models}" if models else name,
        count,
        above_zero(requests),
        hosts=hosts if nodes and models else None,
    )
