"""Snapshots on libvirt's test driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vms.operations import snapshots

if TYPE_CHECKING:
    from vms import Connection


def test_snapshots_are_listed_with_their_parents(connection: Connection) -> None:
    box = connection.find("test")
    snapshots.create(box, "one", description="first")
    snapshots.create(box, "two")
    by_name = {each.name: each for each in snapshots.of(box)}
    assert by_name["one"].description == "first"
    assert (by_name["two"].parent, by_name["two"].is_current) == ("one", True)
    for name in ("two", "one"):
        snapshots.delete(box, name)
    assert snapshots.of(box) == []
