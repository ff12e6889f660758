"""Virtual machines from RVTools: its table vInfo as CSV, or its workbook (XLSX) with vHost.

Machines that are off and templates are left out. "Memory" and the columns in "MB" of older versions
are MiB. The disk is what is provisioned. Hosts are those of vHost that are not in maintenance, with
their cores, and their datacenter as the zone; vHost states no disks.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import Counter
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from lab.errors import InvalidConfig
from lab.planning.inventory import CPUS, DISK_BYTES, MEMORY_BYTES, Host, Inventory, Service
from lab.planning.readers import text_files
from lab.planning.readers.records import (
    MIB,
    BrokenLines,
    above_zero,
    amount,
    inventory,
    offered_only,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from openpyxl import Workbook

    Row = tuple[int, Sequence[str]]

_VMS, _HOSTS = "vinfo", "vhost"
_ZIP = b"PK\x03\x04"
_DELIMITERS = (",", ";", "\t")
_TRUE = frozenset({"true", "1", "yes"})
_ON = "poweredon"
# The names of a column in the versions of RVTools, without their case.
_VM_COLUMNS = {
    "name": ("vm", "vm name"),
    "power": ("powerstate",),
    "template": ("template",),
    "placeholder": ("srm placeholder",),
    "cpus": ("cpus",),
    "memory": ("memory", "memory mib", "memory mb"),
    "disk": ("provisioned mib", "provisioned mb", "in use mib", "in use mb"),
}
_HOST_COLUMNS = {
    "name": ("host",),
    "zone": ("datacenter",),
    "maintenance": ("in maintenance mode",),
    "cpus": ("# cores",),
    "memory": ("# memory",),
}
_REQUIRED = ("name", "cpus", "memory")
# "16,384", "16.384", "16 384" and "16'384": a number with its thousands set apart.
_GROUPED = re.compile(r"[0-9]{1,3}(?:[,.' \u00a0\u202f\u2019][0-9]{3})+")


def read(source: str) -> Inventory:
    """Return the machines that are on, and the hosts. Raise InvalidConfig for another file.

    Each machine is a service of its own. Broken lines have the number of the line or row.
    """
    path = text_files.path_of(source)
    broken = BrokenLines()
    names: dict[str, int] = {}
    services: list[Service] = []
    hosts: Counter[tuple[float, float, str]] = Counter()

    def add_vm(fields: Mapping[str, str]) -> None:
        if (service := _service(fields, names)) is not None:
            services.append(service)

    def add_host(fields: Mapping[str, str]) -> None:
        if fields["maintenance"].lower() not in _TRUE:
            cpus, memory = _number(fields["cpus"], "# Cores"), _number(fields["memory"], "# Memory")
            hosts[cpus, memory, fields["zone"]] += 1

    with _tables(path, broken) as tables:
        _each(path, tables[_VMS], _VM_COLUMNS, broken, add_vm)
        if _HOSTS in tables:
            broken.file = "vHost"
            _each(path, tables[_HOSTS], _HOST_COLUMNS, broken, add_host)
    kinds = [
        Host(
            f"{cpus:.12g} cores, {memory:.12g} MiB",
            {CPUS: cpus, MEMORY_BYTES: memory * MIB},
            count=count,
            zone=zone,
        )
        for (cpus, memory, zone), count in hosts.items()
    ]
    return inventory(path, "machines that are on", offered_only(services, kinds), kinds, broken)


def _service(fields: Mapping[str, str], names: dict[str, int]) -> Service | None:
    """Return the machine; None if it is off or a template. Raise ValueError for a bad field."""
    is_off = fields["power"] and fields["power"].lower() != _ON
    if is_off or any(fields[key].lower() in _TRUE for key in ("template", "placeholder")):
        return None
    if not fields["name"]:
        raise ValueError("VM is missing")
    requests = {
        CPUS: _number(fields["cpus"], "CPUs"),
        MEMORY_BYTES: _number(fields["memory"], "Memory") * MIB,
        DISK_BYTES: _number(fields["disk"] or "0", "the disk") * MIB,
    }
    if not requests[CPUS] or not requests[MEMORY_BYTES]:
        raise ValueError(f"{fields['name']} has no CPU or no memory")
    return Service(unique(fields["name"], names), 1, above_zero(requests))


def _each(
    path: Path,
    rows: Iterable[Row],
    columns: Mapping[str, tuple[str, ...]],
    broken: BrokenLines,
    apply: Callable[[Mapping[str, str]], None],
) -> None:
    """Call `apply` with the fields of each row below the heading; missing ones are empty.

    Raise InvalidConfig if a required column is missing.
    """
    remaining = iter(rows)
    _, heading = next(remaining, (1, ()))
    known = {name.strip().lower(): place for place, name in enumerate(heading)}
    places = {
        key: next((known[name] for name in names if name in known), None)
        for key, names in columns.items()
    }
    for key in _REQUIRED:
        if places[key] is None:
            missing = columns[key][0]
            raise InvalidConfig(f"{path} is not from RVTools: it has no column {missing!r}.")
    for number, row in remaining:
        fields = {
            key: row[place].strip() if place is not None and place < len(row) else ""
            for key, place in places.items()
        }
        if not any(fields.values()):
            continue
        try:
            apply(fields)
        except ValueError as error:
            broken.add(number, str(error))


def _number(text: str, field: str) -> float:
    return amount(re.sub(r"[^0-9]", "", text) if _GROUPED.fullmatch(text) else text, field)


def _is_workbook(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_ZIP)) == _ZIP
    except OSError as error:
        raise InvalidConfig(f"Can't read {path}: {error.strerror}.") from error


def _csv_rows(path: Path, broken: BrokenLines) -> Iterator[Row]:
    """Return the rows of vInfo as CSV, by the delimiter that its heading has most of."""
    heading = next(text_files.lines(path, BrokenLines()), "")
    delimiter = max(_DELIMITERS, key=heading.count)
    return text_files.rows(path, broken, delimiter=delimiter, quoted=True)


@contextmanager
def _tables(path: Path, broken: BrokenLines) -> Iterator[dict[str, Iterator[Row]]]:
    """Yield the rows of the tables that are used. Raise InvalidConfig for another workbook."""
    if not _is_workbook(path):
        yield {_VMS: _csv_rows(path, broken)}
        return
    with path.open("rb") as file:
        workbook = _loaded(path, file)
        sheets = {name.lower(): workbook[name] for name in workbook.sheetnames}
        if _VMS not in sheets:
            raise InvalidConfig(f"{path} is not a workbook of RVTools: it has no table vInfo.")
        yield {name: _sheet_rows(sheets[name], broken) for name in (_VMS, _HOSTS) if name in sheets}


def _loaded(path: Path, file: IO[bytes]) -> Workbook:
    """Return the workbook, whose sheets are read when they are used; its name may be any."""
    from openpyxl import load_workbook

    try:
        return load_workbook(file, read_only=True, data_only=True)
    except (OSError, ValueError, LookupError, SyntaxError, zipfile.BadZipFile) as error:
        raise InvalidConfig(f"{path} is not a workbook of RVTools: {error}.") from error


def _sheet_rows(sheet: Any, broken: BrokenLines) -> Iterator[Row]:
    """Yield the rows of a sheet as text; damage ends them as a broken line."""
    sheet.reset_dimensions()  # an exporter may state a wrong size, which hides columns
    number = 0
    try:
        for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
            yield number, [_text(value) for value in row]
    except (ValueError, LookupError, SyntaxError, EOFError, zlib.error, zipfile.BadZipFile):
        broken.add(number + 1, "the table is damaged from here on")


def _text(value: object) -> str:
    """Return a cell as text; a fraction with so many digits that none looks set apart."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.6f}"
    return "" if value is None else str(value)
