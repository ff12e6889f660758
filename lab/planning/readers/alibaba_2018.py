"""Alibaba's cluster trace of 2018: container_meta.csv and machine_meta.csv, without headings.

The services are the containers that are not stopped at the end of the file: a service for each
deployment unit and size. The hosts are the machines; their first failure domain is the zone. Memory
is a share of the largest machine's, which the trace writes in hundredths.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from lab.planning.inventory import CPUS, Host, Inventory, Service
from lab.planning.readers import text_files
from lab.planning.readers.records import (
    MEMORY_SHARE,
    BrokenLines,
    above_zero,
    amount,
    apply_each,
    inventory,
    require,
    require_cpu_or_memory,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONTAINERS, _MACHINES = "container_meta", "machine_meta"
_CONTAINER_COLUMNS, _MACHINE_COLUMNS = 8, 7
_MOST_MEMORY = 100.0  # 101 and -1 stand for an unknown value


class _Unit(NamedTuple):
    """A container's deployment unit and size, or a machine's failure domain and size."""

    name: str
    cpus: float
    memory: float

    def amounts(self) -> dict[str, float]:
        return above_zero({CPUS: self.cpus, MEMORY_SHARE: self.memory})


class _State(NamedTuple):
    """The newest state of a container or machine; `unit` None says that it is gone."""

    seconds: float
    unit: _Unit | None


def read(source: str) -> Inventory:
    """Return the containers and machines of a folder with both tables, or of one table.

    Raise InvalidConfig for a source that holds neither.
    """
    path = text_files.path_of(source)
    broken = BrokenLines()
    containers: dict[str, _State] = {}
    machines: dict[str, _State] = {}
    applied = {
        _CONTAINERS: partial(_apply_container, containers),
        _MACHINES: partial(_apply_machine, machines),
    }
    for table, file in text_files.tables(source, (_CONTAINERS, _MACHINES)):
        broken.file = file.name if path.is_dir() else ""
        apply_each(text_files.rows(file, broken), broken, applied[table])
    names: dict[str, int] = {}
    services = [
        Service(unique(unit.name, names), count, unit.amounts())
        for unit, count in _counted(containers)
    ]
    hosts = [
        Host(
            f"machines of {unit.cpus:.12g} CPUs, memory {unit.memory:.12g}",
            unit.amounts(),
            count=count,
            zone=unit.name,
        )
        for unit, count in _counted(machines)
    ]
    return inventory(path, "Alibaba's trace of 2018", services, hosts, broken)


def _counted(states: dict[str, _State]) -> list[tuple[_Unit, int]]:
    return list(Counter(state.unit for state in states.values() if state.unit).items())


def _apply_container(found: dict[str, _State], row: Sequence[str]) -> None:
    """Apply a state: container, machine, time, app_du, status, cpu_request, cpu_limit, mem_size."""
    require(row, _CONTAINER_COLUMNS)
    seconds = amount(row[2], "the time stamp")
    unit: _Unit | None = None
    if row[4].strip() != "stopped":
        cpus, memory = amount(row[5], "cpu_request") / 100, _memory(row[7])
        require_cpu_or_memory(cpus, memory)
        unit = _Unit(row[3].strip() or row[0], cpus, memory)
    _keep_newest(found, row[0], _State(seconds, unit))


def _apply_machine(found: dict[str, _State], row: Sequence[str]) -> None:
    """Apply a state: machine, time, failure domains 1 and 2, CPUs, memory, status."""
    require(row, _MACHINE_COLUMNS)
    unit = _Unit(row[2].strip(), amount(row[4], "cpu_num"), _memory(row[5]))
    require_cpu_or_memory(unit.cpus, unit.memory)
    _keep_newest(found, row[0], _State(amount(row[1], "the time stamp"), unit))


def _keep_newest(found: dict[str, _State], name: str, state: _State) -> None:
    if name not in found or state.seconds >= found[name].seconds:
        found[name] = state


def _memory(text: str) -> float:
    value = amount(text, "mem_size")
    if value > _MOST_MEMORY:
        raise ValueError(f"mem_size is {text.strip()}, which is above 100")
    return value / 100
