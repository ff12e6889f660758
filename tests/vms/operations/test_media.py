"""Media of CD-ROM drives, on libvirt's test driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vms.operations.defined import defined, disk
from vms import Connection, MachineError
from vms.operations import media


def test_one_of_several_drives_must_be_named(connection: Connection, state: Path) -> None:
    drives = [disk(state / "a", target, device="cdrom") for target in ("sda", "sdb")]
    box = defined(connection, "box", *drives)
    with pytest.raises(MachineError, match="box has several drives, sda, sdb: choose one"):
        media.change(connection, box, None)
    with pytest.raises(MachineError, match=r"box has no drive vda \(it has sda, sdb\)"):
        media.change(connection, box, None, "vda")
    with pytest.raises(MachineError, match="Can't read /nowhere"):
        media.change(connection, box, Path("/nowhere"), "sdb")
    box.undefine()
