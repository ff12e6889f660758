"""The tables [[import]] of a plan file: services and hosts that readers find in other tools' files.

[[import]]
kubectl = "pods-and-nodes.json"
prefix = "east-"
wrapping = "container"
skip-broken = true
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from lab.errors import InvalidConfig, LabError
from lab.language.message import Message
from lab.planning.plan_schema import OneWrapping
from lab.planning.readers import registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lab.planning.inventory import BrokenLine, Inventory

_PREFIX, _SKIP, _WRAPPING = "prefix", "skip-broken", "wrapping"


@dataclass(frozen=True, slots=True)
class Imported:
    """Services and hosts from a source, and how its services are wrapped in a mixed plan."""

    inventory: Inventory
    wrapping: str | None


def read_imports(
    path: Path, tables: Sequence[dict[str, Any]]
) -> tuple[list[Imported], tuple[str, ...]]:
    """Return what readers find, and a sentence on the lines left out of each source.

    Raise InvalidConfig for a line that can't be used, unless the table says to leave such out.
    """
    found: list[Imported] = []
    notes: list[str] = []
    for number, table in enumerate(tables, 1):
        where = f"{path}: import {number}"
        reader, sources, skip = _checked(where, table)
        for source in sources:
            inventory = _read(where, reader, source, path.parent)
            if inventory.broken and not skip:
                raise InvalidConfig(
                    f"{where}: {_fault(source, inventory.broken)}; {_SKIP} = true leaves such"
                    " lines out."
                )
            if prefix := table.get(_PREFIX, ""):
                inventory = inventory.renamed(prefix.__add__, prefix.__add__)
            found.append(Imported(inventory, table.get(_WRAPPING)))
            if inventory.broken:
                fault = _fault(source, inventory.broken)
                notes.append(Message("Left out: {fault}.", fault=fault))
    return found, tuple(notes)


def _checked(where: str, table: dict[str, Any]) -> tuple[str, list[str], bool]:
    """Return the table's reader, its sources, and True if broken lines are left out."""
    keys = [key for key in table if key not in {_PREFIX, _SKIP, _WRAPPING}]
    if len(keys) != 1 or keys[0] not in registry.NAMES:
        raise InvalidConfig(
            f"{where}: it needs one reader and its file: readers are {', '.join(registry.NAMES)}."
        )
    value = table[keys[0]]
    sources = [value] if isinstance(value, str) else value
    is_list = isinstance(sources, list) and sources
    if not is_list or not all(isinstance(each, str) and each for each in sources):
        raise InvalidConfig(f"{where}: {keys[0]} must be the path of a file, or a list of paths.")
    skip = table.get(_SKIP, False)
    if not isinstance(skip, bool):
        raise InvalidConfig(f"{where}: {_SKIP} must be true or false.")
    if not isinstance(table.get(_PREFIX, ""), str):
        raise InvalidConfig(f"{where}: {_PREFIX} must be a text, which names then begin with.")
    if table.get(_WRAPPING) not in (None, *get_args(OneWrapping)):  # it may be a list
        raise InvalidConfig(f"{where}: {_WRAPPING} must be {' or '.join(get_args(OneWrapping))}.")
    return keys[0], sources, skip


def _read(where: str, reader: str, source: str, folder: Path) -> Inventory:
    """Return what the reader finds. A path is relative to the plan file's folder."""
    is_address = "://" in source  # of a connection, as qemu:///system
    try:
        return registry.read(reader, source if is_address else str(folder / source))
    except LabError as error:
        raise InvalidConfig(f"{where}: {error}") from error


def _fault(source: str, broken: Sequence[BrokenLine]) -> str:
    """Return the first broken line and the number of further ones, without a full stop."""
    more = f" (and {len(broken) - 1:,} more)" if len(broken) > 1 else ""
    return f"{source}, line {broken[0].number}: {broken[0].reason.rstrip('.')}{more}"
