"""Containers from `docker inspect` or `podman inspect`: their limits of CPU and memory.

A container without one of the limits may take all of its host, and is reported as broken. Those of
a compose project or of a swarm service with equal limits are the replicas of one service.
Containers that are not running are left out.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import msgspec

from lab.planning.inventory import CPUS, MEMORY_BYTES, Inventory, Service
from lab.planning.readers import text_files
from lab.planning.readers.records import BrokenLines, inventory, unique

_PERIOD_MICROSECONDS = 100_000  # the kernel's default
_RUNNING = frozenset({"running", "paused", "restarting"})
_UNLIMITED = 2**62  # cgroup v1 states "no limit" as the most pages that the kernel counts
_SWARM = "com.docker.swarm.service.name"
_COMPOSE = ("com.docker.compose.project", "com.docker.compose.service")


_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _HostConfig(msgspec.Struct, rename="pascal"):
    nano_cpus: _Int64 = 0
    cpu_quota: _Int64 = 0
    cpu_period: _Int64 = 0
    memory: _Int64 = 0


class _State(msgspec.Struct, rename="pascal"):
    status: str = ""
    running: bool = False


class _Config(msgspec.Struct, rename="pascal"):
    labels: dict[str, str] | None = None


class _Container(msgspec.Struct, rename="pascal"):
    name: str
    state: _State
    host_config: _HostConfig
    config: _Config | None = None
    id: str = ""


def read(source: str) -> Inventory:
    """Return the running containers that the file describes. Raise InvalidConfig for another file.

    Broken lines have the place of the container in the list, from 1.
    """
    path = text_files.path_of(source)
    broken = BrokenLines()
    described = text_files.json_document(
        path, list[msgspec.Raw], "the list that `docker inspect` prints"
    )
    found: Counter[tuple[str, float, int]] = Counter()
    places: dict[str, int] = {}
    for number, text in enumerate(described, 1):
        try:
            container = msgspec.json.decode(text, type=_Container)
            if container.id and places.setdefault(container.id, number) != number:
                broken.add(number, f"{container.name} is container {places[container.id]} again")
                continue
            if _is_running(container.state):
                cpus, memory = _limits(container)
                found[_service_name(container), cpus, memory] += 1
        except (msgspec.DecodeError, ValueError) as error:
            broken.add(number, str(error))
    names: dict[str, int] = {}
    services = [
        Service(unique(name, names), count, {CPUS: cpus, MEMORY_BYTES: float(memory)})
        for (name, cpus, memory), count in found.items()
    ]
    return inventory(path, "running containers", services, (), broken)


def _is_running(state: _State) -> bool:
    return state.status in _RUNNING if state.status else state.running


def _service_name(container: _Container) -> str:
    """Return the name that the container's replicas share: its service's, or else its own."""
    labels = (container.config.labels if container.config else None) or {}
    if name := labels.get(_SWARM):
        return name
    project, service = (labels.get(label, "") for label in _COMPOSE)
    return f"{project}/{service}" if service else container.name.removeprefix("/")


def _limits(container: _Container) -> tuple[float, int]:
    """Return the limits of CPUs and memory. Raise ValueError if one is missing: it is unlimited."""
    limits, name = container.host_config, container.name.removeprefix("/")
    cpus = limits.nano_cpus / 1e9
    if not cpus and limits.cpu_quota > 0:
        cpus = limits.cpu_quota / (limits.cpu_period or _PERIOD_MICROSECONDS)
    missing = [
        what
        for what, is_missing in (("CPU", cpus <= 0), ("memory", not 0 < limits.memory < _UNLIMITED))
        if is_missing
    ]
    if missing:
        raise ValueError(f"{name} has no limit of {' and '.join(missing)}: state what it takes")
    return cpus, limits.memory
