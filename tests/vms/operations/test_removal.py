"""What goes with a machine's storage, and what holds it back; on libvirt's test driver."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vms import Connection, MachineError
from vms.operations import media, removal
from vms.storage import disks, qcow2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vms import Domain

MIB = 1 << 20


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="tv-", dir="/tmp"))
    monkeypatch.setenv("TONNAGE_STATE", str(path))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def connection(state: Path) -> Iterator[Connection]:
    with Connection.open(state / "c", "test:///default") as made:
        yield made


def image(path: Path, below: Path | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    base = below or path.with_name("base.raw")
    if below is None:
        with base.open("wb") as file:
            file.truncate(MIB)
    qcow2.write_clone(base, "qcow2" if below else "raw", path, MIB)
    return path


def defined(connection: Connection, name: str, *devices: str) -> Domain:
    xml = (
        f"<domain type='test'><name>{name}</name><memory>1</memory><os><type>hvm</type></os>"
        f"<devices>{''.join(devices)}</devices></domain>"
    )
    box = connection.define_xml(xml)
    # libvirt's test driver knows no flags for this.
    box.undefine = box.handle.undefine  # type: ignore[method-assign]
    return box


def disk(path: Path, target: str = "vda", more: str = "", device: str = "disk") -> str:
    return (
        f"<disk type='file' device='{device}'><driver name='qemu' type='qcow2'/>"
        f"<source file='{path}'/><target dev='{target}'/>{more}</disk>"
    )


def test_all_that_it_writes_to_goes_and_nothing_else(connection: Connection, state: Path) -> None:
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
    gone = removal.undefine_with_storage(connection, box)
    assert sorted(gone) == sorted([own, own.parent / "seed.iso", data])
    assert not own.parent.exists()
    assert not data.exists()
    assert golden.exists()
    assert read.exists()
    assert medium.exists()
    assert "box" not in [each.name for each in connection.domains()]


@pytest.mark.parametrize("way", ["reader", "shared", "hard link", "golden", "device", "noted"])
def test_what_others_read_holds_it_back(connection: Connection, state: Path, way: str) -> None:
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


def test_a_drive_is_named_where_there_are_several(connection: Connection, state: Path) -> None:
    drives = [disk(state / "a", target, device="cdrom") for target in ("sda", "sdb")]
    box = defined(connection, "box", *drives)
    with pytest.raises(MachineError, match="box has several drives, sda, sdb: choose one"):
        media.change(connection, box, None)
    with pytest.raises(MachineError, match=r"box has no drive vda \(it has sda, sdb\)"):
        media.change(connection, box, None, "vda")
    with pytest.raises(MachineError, match="Can't read /nowhere"):
        media.change(connection, box, Path("/nowhere"), "sdb")
    box.undefine()
