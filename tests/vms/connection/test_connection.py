"""Connections to libvirt's driver test:///default: machines, lost connections, default address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from vms import Connection, Unavailable
from vms.connection.connection import default_uri
from vms.operations import listing

if TYPE_CHECKING:
    from pathlib import Path


def test_libvirts_own_machines_are_listed(short: Path) -> None:
    with Connection.open(short, "test:///default") as connection:
        (machine,) = listing.machines(connection)
        assert (machine.name, machine.state, machine.is_persistent) == ("test", "running", True)
        assert machine.memory_mib == 8192


def test_a_connection_that_was_lost_is_opened_anew(short: Path) -> None:
    with Connection.open(short, "test:///default") as connection:
        first = connection.handle
        assert connection.handle is first
        first.close()
        first.isAlive = lambda: 0
        assert connection.handle is not first
        assert [each.name for each in listing.machines(connection)] == ["test"]


def test_a_missing_libvirt_is_reported_and_not_printed(
    short: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        pytest.raises(Unavailable, match="no libvirt answers at that address: start its daemon"),
        Connection.open(short, f"qemu+unix:///system?socket={short}/none"),
    ):
        pass
    assert capfd.readouterr().err == ""


def test_the_environment_names_a_libvirt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "qemu:///session")
    assert default_uri() == "qemu:///session"
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", "")
    assert default_uri() is None
