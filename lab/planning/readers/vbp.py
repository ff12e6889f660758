"""Instances of vector bin packing in the format `.vbp`, as VPSolver and Vectorpack publish them.

3               the number of dimensions
100 100 100     the capacity of a bin
2               the number of kinds of items
43 45 41 1      each kind: its size by dimension, and how many items it has
39 33 26 4
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.planning.inventory import Host, Inventory, Service
from lab.planning.readers import text_files
from lab.planning.readers.records import BrokenLines, above_zero, amount, inventory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_HEADER = 3
_MOST_DIMENSIONS = 1000
_MOST_DIGITS = 12


def read(source: str) -> Inventory:
    """Return the items of an instance as services, and its bin as a kind of host.

    The dimensions are the resources "dimension 1", "dimension 2", … Raise InvalidConfig for a file
    of another format.
    """
    path = text_files.path_of(source)
    broken = BrokenLines()
    lines = _lines(path, broken)
    header = [line for _, line in zip(range(_HEADER), lines, strict=False)]
    resources, capacity, kinds = _parse_header(path, header)
    services: list[Service] = []
    number = found = 0
    for number, fields in lines:
        found += 1
        try:
            if found > kinds:
                _refuse_more(kinds)
            size, replicas = _item(fields, len(resources))
        except ValueError as error:
            broken.add(number, str(error))
            continue
        requests = above_zero(dict(zip(resources, size, strict=True)))
        services.append(Service(f"item {found}", replicas, requests))
    if found < kinds:
        broken.add(number + 1, f"the file ends here, after {found} of {kinds} kinds of items")
    container = Host("bin", dict(zip(resources, capacity, strict=True)))
    return inventory(path, "a .vbp instance", services, [container], broken)


def _lines(path: Path, broken: BrokenLines) -> Iterator[tuple[int, list[str]]]:
    """Yield the numbers of a line, with the line's own; skip empty lines."""
    for number, line in enumerate(text_files.lines(path, broken), 1):
        if fields := line.split():
            yield number, fields


def _parse_header(
    path: Path, header: Sequence[tuple[int, list[str]]]
) -> tuple[list[str], list[float], int]:
    """Return the resources, the capacities, and the number of kinds of items."""
    if len(header) < _HEADER:
        raise InvalidConfig(
            f"{path} is no .vbp instance: it ends before the number of kinds of items."
        )
    try:
        (_, first), (_, second), (_, third) = header
        dimensions = _count(first, "the number of dimensions")
        capacity = [amount(field, "a capacity") for field in second]
        kinds = _count(third, "the number of kinds of items")
    except ValueError as error:
        raise InvalidConfig(f"{path} is no .vbp instance: {error}.") from error
    if not 0 < dimensions <= _MOST_DIMENSIONS or len(capacity) != dimensions:
        raise InvalidConfig(
            f"{path} is no .vbp instance: line {header[1][0]} has {len(capacity)} capacities for"
            f" {dimensions} dimensions."
        )
    return [f"dimension {number}" for number in range(1, dimensions + 1)], capacity, kinds


def _item(fields: Sequence[str], dimensions: int) -> tuple[list[float], int]:
    """Return the size and the number of a kind of item. Raise ValueError with the reason."""
    if len(fields) != dimensions + 1:
        raise ValueError(f"it has {len(fields)} numbers, {dimensions + 1} are needed")
    size = [amount(field, f"size {place}") for place, field in enumerate(fields[:-1], 1)]
    if not any(size):
        raise ValueError("all its sizes are 0")
    return size, _count(fields[-1:], "the number of items")


def _count(fields: Sequence[str], what: str) -> int:
    """Return a whole number that stands alone. Raise ValueError with the reason."""
    text = " ".join(fields)[:40]
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise ValueError(f"{what} is {text!r}, which is not a whole number")
    return int(text)


def _refuse_more(kinds: int) -> None:
    raise ValueError(f"it stands after the last of {kinds} kinds of items")
