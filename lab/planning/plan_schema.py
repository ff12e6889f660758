"""The tables of a plan file and their keys, as TOML has them.

    [plan]       objective, months, growth, head-room, currency
    [wrapping]   kind, run, container, machine, machine-cpus, machine-memory, machine-disk
    [[service]]  name, replicas, what one replica requests, where replicas may run
    [[host]]     name, what one host offers, price, count, zone, rack
    [[import]]   a reader and its files, wrapping, skip-broken

docs/planning.md describes every key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

import msgspec

from lab import toml_file
from lab.errors import InvalidConfig
from lab.planning import amounts
from lab.planning.inventory import (
    CPUS,
    DISK_BYTES,
    GPUS,
    MEMORY_BYTES,
    NETWORK_BITS_PER_SECOND,
)

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T", bound=msgspec.Struct)
Amount = float | str
ObjectiveName = Literal["hosts", "price"]
WrappingKind = Literal["container", "vm", "containers-in-vms", "mixed"]
OneWrapping = Literal["container", "vm"]
Domain = Literal["zone", "rack"]
_CHOICES: dict[str, Any] = {
    "objective": ObjectiveName,
    "kind": WrappingKind,
    "wrapping": OneWrapping,
    "spread": Domain,
}
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "date": "a date",
    "time": "a time",
    "datetime": "a date with a time",
}
TABLES = ("plan", "wrapping", "service", "host", "import")
# The keys of resources in a service or host, and the resources' names elsewhere.
RESOURCE_KEYS = {
    "cpus": CPUS,
    "memory": MEMORY_BYTES,
    "disk": DISK_BYTES,
    "network": NETWORK_BITS_PER_SECOND,
    "gpus": GPUS,
}


class PlanTable(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """The table [plan]: the objective, and defaults of services and hosts."""

    objective: ObjectiveName = "hosts"
    months: int = 0
    growth: Amount | None = None
    head_room: Amount | None = None
    currency: str = ""


class WrappingTable(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """The table [wrapping]: how replicas are isolated, and the run that measured the overhead."""

    kind: WrappingKind
    run: str
    container: str = "container"
    machine: str = "vm"
    machine_cpus: Amount | None = None
    machine_memory: Amount | None = None
    machine_disk: Amount | None = None


class Resources(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """The keys of resources; `resources` has further ones by name."""

    cpus: Amount | None = None
    memory: Amount | None = None
    disk: Amount | None = None
    network: Amount | None = None
    gpus: Amount | None = None
    resources: dict[str, float] = {}


class ServiceTable(
    Resources, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"
):
    """A table [[service]]."""

    name: str
    replicas: int
    measured: str | None = None
    wrapping: OneWrapping | None = None
    per_host: int | None = None
    apart_from: list[str] = []
    spread: Domain | None = None
    max_skew: int = 1
    min_domains: int | None = None
    hosts: list[str] | None = None
    growth: Amount | None = None
    head_room: Amount | None = None


class HostTable(Resources, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A table [[host]]. `zones` stands for one table for each of these zones.

    `reserved` is what a host itself takes of what it has, and what runs once on each host.
    """

    name: str
    price: float = 1.0
    count: int | None = None
    zone: str = ""
    zones: list[str] | None = None
    rack: str = ""
    reserved: Resources | None = None
    head_room: Amount | None = None


@dataclass(frozen=True, slots=True)
class PlanTables:
    """All tables of a plan file."""

    plan: PlanTable
    wrapping: WrappingTable | None
    services: tuple[ServiceTable, ...]
    hosts: tuple[HostTable, ...]
    imports: tuple[dict[str, Any], ...]


def read_tables(path: Path) -> PlanTables:
    """Return the tables of the file. Raise InvalidConfig, naming the key, if one is unusable."""
    document = toml_file.read(path)
    if unknown := [key for key in document if key not in TABLES]:
        raise InvalidConfig(f"{path}: {unknown[0]} is no table of a plan: use {', '.join(TABLES)}.")
    wrapping = document.get("wrapping")
    return PlanTables(
        plan=_table(path, "plan", document.get("plan", {}), PlanTable),
        wrapping=None if wrapping is None else _table(path, "wrapping", wrapping, WrappingTable),
        services=tuple(
            _table(path, _place(path, "service", number, table), table, ServiceTable)
            for number, table in enumerate(_array(path, "service", document), 1)
        ),
        hosts=tuple(
            _table(path, _place(path, "host", number, table), table, HostTable)
            for number, table in enumerate(_array(path, "host", document), 1)
        ),
        imports=tuple(_array(path, "import", document)),
    )


def amounts_of(where: str, table: Resources) -> dict[str, float]:
    """Return the amounts that the table states, by resource. Raise InvalidConfig naming the key."""
    result = {
        resource: amounts.amount(f"{where}: {key}", resource, value)
        for key, resource in RESOURCE_KEYS.items()
        if (value := getattr(table, key)) is not None
    }
    for name, value in table.resources.items():
        taken = name in RESOURCE_KEYS or name in RESOURCE_KEYS.values()
        if taken or not name.strip() or not name.isprintable():
            raise InvalidConfig(
                f"{where}: resources: {name!r} can't name a further resource: use another name."
            )
        result[name] = amounts.amount(f"{where}: resources: {name}", name, value)
    return result


def _array(path: Path, key: str, document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tables of that name."""
    array = document.get(key, [])
    if not isinstance(array, list) or not all(isinstance(each, dict) for each in array):
        raise InvalidConfig(f"{path}: {key} must be tables: write [[{key}]] above each.")
    return array


def _place(path: Path, key: str, number: int, table: dict[str, Any]) -> str:
    """Return a table's place in messages: its name, or its number if it has none.

    Raise InvalidConfig for a name with control characters, which a terminal would obey.
    """
    name = table.get("name")
    if not isinstance(name, str):
        return f"{key} {number}"
    if not name.isprintable():
        raise InvalidConfig(f"{path}: {key} {number}: name: {name!r} is not a printable name.")
    return f"{key} {name}"


def _table(path: Path, where: str, table: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise InvalidConfig(f"{path}: {where}: {_plainly(str(error))}.") from error


def _plainly(message: str) -> str:
    """Return msgspec's message in the words of other errors, the key first."""
    if match := re.match(r"Object missing required field `(.+?)`", message):
        return f"{match[1]} is missing"
    if match := re.match(r"Object contains unknown field `(.+?)`", message):
        return f"{match[1]} is no key that it can have"
    fault_as_told, _, place = message.partition(" - at `$")
    key = place.rstrip("`").lstrip(".")
    fault = f"{fault_as_told[:1].lower()}{fault_as_told[1:]}".replace("`", "'")
    if key in _CHOICES and fault.startswith("invalid enum value"):
        value = fault.removeprefix("invalid enum value ")
        return f"{key}: {value} is unknown: use {', '.join(get_args(_CHOICES[key]))}"
    if match := re.fullmatch(r"Expected `(.+)`, got `(.+)`", fault_as_told):
        fault = f"it must be {_type(match[1])}, not {_type(match[2])}"
    return f"{key}: {fault}" if key else fault


def _type(names: str) -> str:
    """Return msgspec's names of types, as `int | null`, in words."""
    return " or ".join(_TYPES.get(name, name) for name in names.split(" | ") if name != "null")
