"""Azure's trace for packing of 2020: an SQLite file with the tables vm and vmType.

The services are the virtual machines that exist when the last one is requested: a service for each
VM type and priority. A VM type's size is published as a share of each kind of machine that it may
run on. The host is the kind of machine on which the most of those VMs may run; VMs that can't are
reported as broken.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from lab.errors import InvalidConfig
from lab.planning.inventory import Host, Inventory, Service
from lab.planning.readers import text_files
from lab.planning.readers.records import (
    BrokenLines,
    above_zero,
    inventory,
    require_cpu_or_memory,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SHARES = ("core", "memory", "hdd", "ssd", "nic")
_USABLE = """
    vmTypeId IS NOT NULL AND priority IS NOT NULL AND typeof(starttime) IN ('integer', 'real')
    AND abs(starttime) < 1e9 AND typeof(endtime) IN ('integer', 'real', 'null')
"""
_BROKEN = f"SELECT rowid FROM vm WHERE NOT ({_USABLE}) ORDER BY rowid"
_ALIVE = f"""
    WITH usable AS (SELECT rowid AS number, * FROM vm WHERE {_USABLE})
    SELECT vmTypeId, priority, count(*), min(number) FROM usable
    WHERE endtime IS NULL OR endtime > (SELECT max(starttime) FROM usable)
    GROUP BY vmTypeId, priority ORDER BY vmTypeId, priority
"""
_SIZES = f"SELECT id, vmTypeId, machineId, {', '.join(_SHARES)} FROM vmType"

_Sizes = dict[object, dict[object, dict[str, float]]]


class _Group(NamedTuple):
    """Equal VMs: their type, priority (0 high, 1 low) and number, and the row of the first."""

    vm_type: object
    priority: object
    number: int
    row: int


def read(source: str) -> Inventory:
    """Return the virtual machines of the trace, and a machine to pack them on.

    Broken lines have the row numbers of their tables. Raise InvalidConfig for another file.
    """
    path = text_files.path_of(source)
    if path.is_dir():
        raise InvalidConfig(f"{path} is a folder: name the SQLite file in it.")
    text_files.require_rereadable(path)
    broken = BrokenLines()
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            broken.file = "vmType"
            sizes = _sizes(database, broken)
            broken.file = "vm"
            for (number,) in database.execute(_BROKEN):
                broken.add(number, "its type, priority, start or end is missing, or no number")
            groups = [_Group(*row) for row in database.execute(_ALIVE)]
    except (sqlite3.Error, UnicodeError) as error:  # a message may have bytes of the file
        raise InvalidConfig(
            f"{path} is not Azure's trace for packing: {error}. Name its SQLite file, unpacked."
        ) from error
    machine = _commonest_machine(path, groups, sizes, broken)
    services = []
    for vm_type, priority, count, row in groups:
        size = sizes.get(vm_type, {}).get(machine)
        if size is None:
            broken.add(row, f"this and {count - 1:,} more of type {vm_type} need another machine")
            continue
        services.append(Service(f"VM type {vm_type}, priority {priority}", count, above_zero(size)))
    host = Host(f"machine {machine}", {f"{name}_share": 1.0 for name in _SHARES})
    return inventory(path, "Azure's trace for packing", services, [host], broken)


def _sizes(database: sqlite3.Connection, broken: BrokenLines) -> _Sizes:
    """Return the sizes of the VM types, by machine."""
    sizes: _Sizes = {}
    for number, vm_type, machine, *shares in database.execute(_SIZES):
        try:
            amounts = {
                f"{name}_share": _share(name, value)
                for name, value in zip(_SHARES, shares, strict=True)
            }
            require_cpu_or_memory(amounts["core_share"], amounts["memory_share"])
        except ValueError as error:
            broken.add(number, str(error))
            continue
        sizes.setdefault(vm_type, {})[machine] = amounts
    return sizes


def _share(name: str, value: object) -> float:
    """Return a share of a machine; a missing disk or network is none of it."""
    if value is None and name not in {"core", "memory"}:
        return 0.0
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{name} is {value!r}, which is not a share of a machine")
    return float(value)


def _commonest_machine(
    path: Path, groups: Sequence[_Group], sizes: _Sizes, broken: BrokenLines
) -> object:
    """Return the kind of machine on which the most of the VMs may run. Raise InvalidConfig if none.

    Its message has the first broken line.
    """
    counts: Counter[object] = Counter()
    for group in groups:
        for machine in sizes.get(group.vm_type, {}):
            counts[machine] += group.number
    if not counts:
        first = next((f": row {each.number}: {each.reason}" for each in broken.lines()), "")
        raise InvalidConfig(
            f"{path} has no VM that exists at the end and whose size is known{first}."
        )
    return max(counts, key=lambda machine: (counts[machine], str(machine)))
