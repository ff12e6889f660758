"""Print the host's record for people: the table of `tonnage doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import tables

if TYPE_CHECKING:
    from lab.measurement.host_record import HostRecord

_MARKS = {"ok": ("✓", "green"), "limited": ("!", "yellow"), "missing": ("✗", "red")}


def show(record: HostRecord) -> None:
    """Print the host's facts as a table on standard output."""
    from rich.console import Console

    rows = [
        (tables.cell(*_MARKS[fact.state]), fact.name, fact.value, fact.meaning)
        for fact in record.facts
    ]
    Console().print(tables.folding(("", "subject", "value", "meaning"), rows))
