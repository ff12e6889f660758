"""Statistics of machines on libvirt's test driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vms.operations import statistics

if TYPE_CHECKING:
    from vms import Connection


def test_statistics_name_every_machine(connection: Connection) -> None:
    (machine,) = statistics.all_machines(connection)
    assert (machine.name, machine.state) == ("test", "running")
