"""Life of a machine on libvirt's test driver: state, events, and refused requests."""

from __future__ import annotations

import pytest

from vms import Connection, MachineError, NotFound
from vms.domain.events import Events
from vms.operations import snapshots


def test_events_report_a_machines_life(connection: Connection) -> None:
    with Events(connection.handle, ("lifecycle",)) as events:
        box = connection.find("test")
        assert (box.state, box.is_running) == ("running", True)
        box.suspend()
        assert box.state == "paused"
        box.resume()
        box.destroy()
        assert (box.state, box.is_running) == ("shut off", False)
        box.start()
        received = [events.within(5) for _ in range(4)]
        assert [each.name for each in received if each] == [
            "suspended",
            "resumed",
            "stopped",
            "started",
        ]
        assert all(each.machine == "test" for each in received if each)
        assert events.within(0.05) is None
    assert [each.name for each in connection.domains()] == ["test"]


def test_impossible_requests_name_their_reason(connection: Connection) -> None:
    box = connection.find("test")
    with pytest.raises(NotFound, match="There is no machine nobody here"):
        connection.find("nobody")
    with pytest.raises(MachineError, match="Can't resume test"):
        box.resume()
    with pytest.raises(NotFound, match="test has no console that listens on a socket"):
        _ = box.console
    with pytest.raises(NotFound, match="test has no channel for an agent"):
        _ = box.inside
    with pytest.raises(MachineError, match="test has no snapshot none"):
        snapshots.revert(box, "none")
