"""Virtual machines from RVTools: its table vInfo as CSV, or its workbook (XLSX) with vHost.

Machines that are off and templates are left out. "Memory" and the columns in "MB" of older versions
are MiB. The disk is what is provisioned. Hosts are those of vHost that are not in maintenance, with
their cores, and their datacenter as the zone; vHost states no disks.

Values that are none of those that a column may have are reported: a spreadsheet in another language
translates True and False.
"""

from __future__ import annotations

import re
import warnings
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
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
# Raised by zipfile (a member with a password is a RuntimeError), and by openpyxl, which makes
# objects of all XML elements with their attributes as arguments.
_DAMAGE = (
    *(ValueError, LookupError, SyntaxError, TypeError, AttributeError),
    *(RuntimeError, EOFError, zlib.error, zipfile.BadZipFile),
)
_DELIMITERS = (",", ";", "\t")
# A line of Excel's above the heading.
_SEPARATOR_LINE = re.compile(r'"?sep=([^"\r\n])"?\s*', re.IGNORECASE)
_TRUE = frozenset({"true", "1", "yes"})
_FALSE = frozenset({"false", "0", "no", ""})
_ON, _OFF = frozenset({"poweredon", ""}), frozenset({"poweredoff", "suspended"})
# The names of a column in the versions of RVTools, without their case. Those that begin with the
# table's name are written where no other headings are chosen.
_VM_COLUMNS = {
    "name": ("vm", "vm name", "vinfovmname"),
    "power": ("powerstate", "vinfopowerstate"),
    "template": ("template", "vinfotemplate"),
    "placeholder": ("srm placeholder", "vinfosrmplaceholder"),
    "cpus": ("cpus", "vinfocpus"),
    "memory": ("memory", "memory mib", "memory mb", "vinfomemory"),
    "disk": (
        *("provisioned mib", "provisioned mb", "vinfoprovisioned"),
        *("in use mib", "in use mb", "vinfoinuse"),
    ),
}
_HOST_COLUMNS = {
    "name": ("host", "vhostname"),
    "zone": ("datacenter", "vhostdatacenter"),
    "maintenance": ("in maintenance mode", "vhostinmaintenancemode"),
    "cpus": ("# cores", "vhostnumcpucores"),
    "memory": ("# memory", "vhostmemorysize"),
}
_REQUIRED = ("name", "cpus", "memory")
# "16,384", "16.384", "16 384" and "16'384": a number with its thousands set apart.
_GROUPED = re.compile(r"[1-9][0-9]{0,2}([,.' \u00a0\u202f\u2019])[0-9]{3}(?:\1[0-9]{3})*")
# "40960,5" and "40.960,5": a decimal comma; "1,234.567" has thousands and a decimal point.
_DECIMAL = re.compile(
    r"([0-9]+|[1-9][0-9]{0,2}([,.' \u00a0\u202f\u2019])[0-9]{3}(?:\2[0-9]{3})*)([,.])([0-9]+)"
)


def read(source: str) -> Inventory:
    """Return the machines that are on, and the hosts. Raise InvalidConfig for another file.

    Each machine is a service of its own. Broken lines have the number of the line or row.
    """
    path = text_files.path_of(source)
    text_files.require_rereadable(path)
    broken = BrokenLines()
    names: dict[str, int] = {}
    services: list[Service] = []
    hosts: Counter[tuple[float, float, str]] = Counter()

    def add_vm(fields: Mapping[str, str]) -> None:
        if (service := _service(fields, names)) is not None:
            services.append(service)

    def add_host(fields: Mapping[str, str]) -> None:
        if not _is_true(fields["maintenance"], "in Maintenance Mode"):
            cpus, memory = _number(fields["cpus"], "# Cores"), _number(fields["memory"], "# Memory")
            if not cpus or not memory:
                raise ValueError(f"{fields['name']} has no cores or no memory")
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
    if not _is_on(fields["power"]):
        return None
    is_template = _is_true(fields["template"], "Template")
    if _is_true(fields["placeholder"], "SRM Placeholder") or is_template:
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

    Raise InvalidConfig if a required column is missing. The first of columns with one name counts:
    own attributes, which may have any name, are the last.
    """
    remaining = iter(rows)
    heading = next((row for _, row in remaining if any(row)), ())
    known: dict[str, int] = {}
    for place, name in enumerate(heading):
        known.setdefault(name.strip().lower(), place)
    places = {
        key: next((known[name] for name in names if name in known), None)
        for key, names in columns.items()
    }
    for key in _REQUIRED:
        if places[key] is None:
            table = f"its table {broken.file}" if broken.file else "it"
            why = next((f": {line.reason}" for line in broken.lines() if not heading), "")
            raise InvalidConfig(
                f"{path} is not from RVTools: {table} has no column {columns[key][0]!r}{why}."
            )
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
    if _GROUPED.fullmatch(text):
        text = _digits(text)
    elif (match := _DECIMAL.fullmatch(text)) and match[2] != match[3]:
        text = f"{_digits(match[1])}.{match[4]}"
    return amount(text, field)


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


def _is_true(text: str, field: str) -> bool:
    """Return a column's truth. Raise ValueError if it is neither True nor False."""
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(f"{field} is {text[:40]!r}, which is neither True nor False")
    return text.lower() in _TRUE


def _is_on(text: str) -> bool:
    """Return True if the machine is on or has no state. Raise ValueError for other words."""
    state = text.lower().replace(" ", "")
    if state not in _ON | _OFF:
        raise ValueError(
            f"Powerstate is {text[:40]!r}, which is not poweredOn, poweredOff or suspended"
        )
    return state in _ON


def _is_workbook(path: Path) -> bool:
    """Return True for XLSX. Raise InvalidConfig for a workbook of another kind."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_ZIP))
    except OSError as error:
        raise InvalidConfig(f"Can't read {path}: {error.strerror}.") from error
    if start == _OLE:
        raise InvalidConfig(
            f"{path} is a workbook with a password or of the old format XLS: save it as XLSX"
            " without a password."
        )
    return start == _ZIP


def _csv_rows(path: Path, broken: BrokenLines) -> Iterator[Row]:
    """Return the rows of vInfo as CSV, by the delimiter that its heading has most of."""
    heading = next(text_files.lines(path, BrokenLines()), "")
    stated = _SEPARATOR_LINE.fullmatch(heading)
    delimiter = stated[1] if stated else max(_DELIMITERS, key=heading.count)
    rows = text_files.rows(path, broken, delimiter=delimiter, quoted=True)
    if stated:
        next(rows, None)
    return rows


def _table(sheet: str) -> str:
    """Return the table that a sheet has: older versions name it tabvInfo, or RVTools_tabvInfo."""
    return sheet.lower().removeprefix("rvtools_").removeprefix("tab")


@contextmanager
def _tables(path: Path, broken: BrokenLines) -> Iterator[dict[str, Iterator[Row]]]:
    """Yield the rows of the tables that are used. Raise InvalidConfig for another workbook."""
    if not _is_workbook(path):
        yield {_VMS: _csv_rows(path, broken)}
        return
    with path.open("rb") as file, warnings.catch_warnings():
        # openpyxl tells of styles, dates and validations that no table needs.
        warnings.filterwarnings("ignore", category=UserWarning, module="openpyxl")
        workbook = _loaded(path, file)
        sheets = {_table(name): workbook[name] for name in reversed(workbook.sheetnames)}
        if _VMS not in sheets:
            raise InvalidConfig(f"{path} is not a workbook of RVTools: it has no table vInfo.")
        yield {name: _sheet_rows(sheets[name], broken) for name in (_VMS, _HOSTS) if name in sheets}


def _loaded(path: Path, file: IO[bytes]) -> Workbook:
    """Return the workbook, whose sheets are read when they are used; its name may be any."""
    from openpyxl import load_workbook

    try:
        return load_workbook(file, read_only=True, data_only=True)
    except (OSError, *_DAMAGE) as error:
        raise InvalidConfig(f"{path} is not a workbook of RVTools: {error}.") from error


def _sheet_rows(sheet: Any, broken: BrokenLines) -> Iterator[Row]:
    """Yield the rows of a sheet as text; damage ends them as a broken line."""
    sheet.reset_dimensions()  # an exporter may state a wrong size, which hides columns
    number = 0
    try:
        for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
            yield number, [_text(value) for value in row]
    except _DAMAGE:
        broken.add(number + 1, "the table is damaged from here on")


def _text(value: object) -> str:
    """Return a cell as text; a fraction with so many digits that none looks set apart."""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.6f}"
    return "" if value is None else str(value)
