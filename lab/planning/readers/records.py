"""Records of a source: the amounts in their fields, names, and the lines that can't be used."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.planning.inventory import BrokenLine, Inventory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lab.planning.inventory import Host, Service

MIB = 2.0**20
# Resources of traces that publish them only as a share of the largest machine's.
CPU_SHARE = "cpu_share"
MEMORY_SHARE = "memory_share"
DISK_SHARE = "disk_share"
_KEPT = 1000
_MOST = 1e15  # a field's number; as MiB it is more than all machines have


class BrokenLines:
    """The lines that a reader could not use: a thousand of them, and the number of the others.

    `file` is added to the reasons where a source has several files.
    """

    def __init__(self) -> None:
        self.file = ""
        self._lines: list[BrokenLine] = []
        self._others = 0
        self._last = 0

    def add(self, number: int, reason: str) -> None:
        """Note a line, by its number from 1, and why it can't be used."""
        if len(self._lines) < _KEPT:
            where = f"{self.file}: " if self.file else ""
            self._lines.append(BrokenLine(number, printable(f"{where}{reason}")))
        else:
            self._others += 1
            self._last = number

    def lines(self) -> tuple[BrokenLine, ...]:
        """Return the lines; the last one counts those that were not kept."""
        if not self._others:
            return tuple(self._lines)
        rest = BrokenLine(self._last, f"the last of {self._others:,} more lines that are broken")
        return (*self._lines, rest)


def printable(text: str) -> str:
    """Return the text with escapes for control characters, which a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(
        each
        if each.isprintable()
        else (" " if each.isspace() else each.encode("unicode_escape").decode())
        for each in text
    )


def amount(text: str, field: str) -> float:
    """Return a field's number. Raise ValueError, with the reason, unless it is 0 or more."""
    text = text.strip()
    if not text:
        raise ValueError(f"{field} is missing")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value) or "_" in text:
        raise ValueError(f"{field} is {text[:40]!r}, which is not a number")
    if not 0 <= value < math.inf:
        raise ValueError(f"{field} is {text[:40]}, which is not a number of 0 or more")
    if value > _MOST:
        raise ValueError(f"{field} is {text[:40]}, which is more than any machine has")
    return value


def require(row: Sequence[str], columns: int) -> None:
    """Raise ValueError if the row has fewer columns."""
    if len(row) < columns:
        raise ValueError(f"it has {len(row)} columns, {columns} are needed")


def above_zero(amounts: Mapping[str, float]) -> dict[str, float]:
    """Return the amounts without those that are 0."""
    return {resource: value for resource, value in amounts.items() if value > 0}


def unique(name: str, taken: dict[str, int]) -> str:
    """Return the name, with a number behind it if it is taken, and note it as taken."""
    result = name
    while result in taken:
        taken[name] += 1
        result = f"{name} ({taken[name]})"
    taken[result] = 1
    return result


def inventory(
    source: object,
    kind: str,
    services: Sequence[Service],
    hosts: Sequence[Host],
    broken: BrokenLines,
) -> Inventory:
    """Return what was found. Raise InvalidConfig if that is nothing: the source is of another kind.

    `kind` names what was expected, in the singular. Names get escapes for control characters.
    """
    lines = broken.lines()
    if services or hosts:
        return _printable(Inventory(tuple(services), tuple(hosts), lines))
    why = f"line {lines[0].number}: {lines[0].reason}" if lines else "it has no such record"
    raise InvalidConfig(f"{source} has nothing to plan as {kind}: {why}.")


def _printable(found: Inventory) -> Inventory:
    """Return the same with names that can be printed, and that stay different."""
    of_service = _renamed(service.name for service in found.services)
    of_host = _renamed(host.name for host in found.hosts)
    if of_service or of_host:
        found = found.renamed(
            lambda name: of_service.get(name, name), lambda name: of_host.get(name, name)
        )
    hosts = (
        replace(host, zone=printable(host.zone), rack=printable(host.rack)) for host in found.hosts
    )
    return replace(found, hosts=tuple(hosts))


def _renamed(names: Iterable[str]) -> dict[str, str]:
    """Return other names for those that can't be printed as they are."""
    each_once = dict.fromkeys(names)
    taken = {name: 1 for name in each_once if name.isprintable()}
    return {name: unique(printable(name), taken) for name in each_once if not name.isprintable()}


def apply_each(
    rows: Iterable[tuple[int, list[str]]],
    broken: BrokenLines,
    apply: Callable[[list[str]], object],
) -> None:
    """Call `apply` with each row; a row for which it raises ValueError is broken."""
    for number, row in rows:
        try:
            apply(row)
        except ValueError as error:
            broken.add(number, str(error))


def offered_only(services: Iterable[Service], hosts: Sequence[Host]) -> list[Service]:
    """Return the services without requests for resources that none of the hosts states.

    A source may know what its services take of a resource and not how much of it its hosts have.
    """
    offered = {resource for host in hosts for resource in host.capacity}
    if not offered:
        return list(services)
    return [
        replace(
            service,
            requests={name: value for name, value in service.requests.items() if name in offered},
        )
        for service in services
    ]


def require_cpu_or_memory(cpu: float, memory: float) -> None:
    """Raise ValueError if a record has neither."""
    if cpu == 0 and memory == 0:
        raise ValueError("it has neither CPU nor memory")
