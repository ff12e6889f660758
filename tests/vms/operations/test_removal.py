"""Removal of a machine's storage, and reasons to refuse it; on libvirt's test driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vms.operations.defined import defined, disk
from vms import Connection, MachineError
from vms.operations import removal
from vms.storage import disks, qcow2

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


def image(path: Path, below: Path | None = None) -> Path:
    """Write an image with a backing file, by default a raw image beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    base = below or path.with_name("base.raw")
    if below is None:
        with base.open("wb") as file:
            file.truncate(MIB)
    qcow2.write_clone(base, "qcow2" if below else "raw", path, MIB)
    return path


def test_writable_disks_are_removed_and_nothing_else(connection: Connection, state: Path) -> None:
    golden = image(state / "images/small/disk.qcow2")
    (golden.parent / "image.json").touch()
    own = image(state / "machines/box/disk.qcow2", golden)
    (own.parent / "seed.iso").touch()
    (own.parent / "link").symlink_to(golden)
    data, read, medium = image(state / "d/data"), image(state / "d/read"), image(state / "d/iso")
    box = defined(
        connection, "box", disk(own), disk(data, "vdb"), disk(read, "vdc", "<readonly/>"),
        disk(medium, "sda", device="cdrom"),
    )  # fmt: skip
    removed = removal.undefine_with_storage(connection, box)
    assert sorted(removed) == sorted([own, own.parent / "seed.iso", data])
    assert not own.parent.exists()
    assert not data.exists()
    assert golden.exists()
    assert read.exists()
    assert medium.exists()
    assert "box" not in [each.name for each in connection.domains()]


@pytest.mark.parametrize("way", ["reader", "shared", "hard link", "golden", "device", "noted"])
def test_shared_storage_is_not_removed(connection: Connection, state: Path, way: str) -> None:
    own = image(state / "machines/box/disk.qcow2")
    others = [disk(own)]
    sentence = ""
    other = None
    if way == "reader":
        other = defined(connection, "other", disk(image(state / "machines/other/disk.qcow2", own)))
        sentence = "machines/other/disk.qcow2 reads from"
    elif way == "shared":
        other = defined(connection, "other", disk(own, more="<readonly/>"))
        sentence = "other uses .* as well"
    elif way == "hard link":
        (state / "d").mkdir()
        (state / "d/link").hardlink_to(own)
        other = defined(connection, "other", disk(state / "d/link"))
        sentence = "other uses .* as well"
    elif way == "golden":
        (own.parent / "image.json").touch()
        sentence = "belongs to the image store"
    elif way == "device":
        others.append("<disk type='block'><source dev='/dev/null'/><target dev='vdb'/></disk>")
        sentence = "has a disk that is not a file"
    else:
        (state / "images").mkdir()
        clone = image(state / "images/one/disk.qcow2")
        own.unlink()
        disks.clone(clone, own)
        image(own.with_name("beside.qcow2"), own)
        own.with_name("beside.qcow2").rename(state / "machines/beside.qcow2")
        sentence = "beside.qcow2 reads from"
    box = defined(connection, "box", *others)
    with pytest.raises(MachineError, match=sentence):
        removal.undefine_with_storage(connection, box)
    assert own.exists()
    assert "box" in [each.name for each in connection.domains()]
    box.undefine()
    if other:
        other.undefine()
