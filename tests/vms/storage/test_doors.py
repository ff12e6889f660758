"""Every way by which a disk comes to a machine goes through one check; on libvirt's test driver."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shutil
import struct
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli import main
from vms import Accelerator, Connection, DirectKernel, Disk, Machine, MachineError
from vms.operations import definitions, hotplug
from vms.storage import disks, formats, qcow2, readers
from vms.storage.image_store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1 << 20
needs_qemu_img = pytest.mark.skipif(
    not shutil.which("qemu-img"), reason="qemu-img is not installed: apt-get install qemu-utils"
)


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tv-", dir="/tmp") as path:
        monkeypatch.setenv("TONNAGE_STATE", path)
        yield Path(path)


@pytest.fixture
def connection(state: Path) -> Iterator[Connection]:
    with Connection.open(state / "c", "test:///default") as made:
        yield made


def raw(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(MIB)
    return path


def golden(state: Path) -> Path:
    """An image of the store, as far as a check looks at it."""
    disk = state / "images/one/disk.qcow2"
    disk.parent.mkdir(parents=True)
    qcow2.write_clone(raw(disk.with_name("base.raw")), "raw", disk, MIB)
    disk.with_name("image.json").touch()
    return disk


def wrong(state: Path, fault: str) -> tuple[Disk, str]:
    """A disk that no machine may have, and what is said of it."""
    path = state / "disk"
    if fault == "nowhere":
        return Disk(path), "no file|No such file"
    if fault == "golden":
        return Disk(golden(state)), "give the machine a clone"
    if fault == "raw as qcow2":
        return Disk(raw(path)), "is no qcow2 image"
    if fault == "directory":
        path.mkdir()
        return Disk(path), "no file|is no regular file|directory"
    base = raw(state / "base")
    qcow2.write_clone(base, "raw", path, MIB)
    if fault == "qcow2 as raw":
        return Disk(path, format="raw"), "is a qcow2 image, not a raw one"
    if fault == "packed":
        path.write_bytes(gzip.compress(path.read_bytes()))
        return Disk(path), "packed by gzip"
    if fault == "a chain that leads out":
        middle = golden(state).with_name("middle.qcow2")
        qcow2.write_clone(base, "raw", middle, MIB)
        path.unlink()
        qcow2.write_clone(middle, "qcow2", path, MIB)
    return Disk(path), "which is not in the image store"


FAULTS = (
    "nowhere", "directory", "golden", "raw as qcow2", "qcow2 as raw", "packed", "leads out",
    "a chain that leads out",
)  # fmt: skip


def machine(state: Path, disk: Disk) -> Machine:
    kernel = state / "kernel"
    kernel.touch()
    return Machine(
        name="box",
        vcpus=1,
        memory_mib=64,
        accelerator=Accelerator.TCG,
        chipset="q35",
        boot=DirectKernel(kernel, None),
        disks=(disk,),
    )


def define(connection: Connection, state: Path, disk: Disk) -> object:
    return connection.define(machine(state, disk))


def start(connection: Connection, state: Path, disk: Disk) -> object:
    return connection.start(machine(state, disk))


def attach(connection: Connection, _: Path, disk: Disk) -> object:
    return hotplug.attach_disk(connection, connection.find("test"), disk)


def describe(connection: Connection, state: Path, disk: Disk) -> object:
    """In libvirt's own words, as they are defined, edited, restored and migrated."""
    described = connection.xml(machine(state, disk), {})
    return definitions.define(connection, described.replace('type="qemu"', 'type="test"'))


WAYS = (define, start, attach, describe)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", WAYS)
def test_no_door_lets_a_wrong_disk_in(
    connection: Connection, state: Path, fault: str,
    way: Callable[[Connection, Path, Disk], object],
) -> None:  # fmt: skip
    disk, said = wrong(state, fault)
    before = connection.handle.lookupByName("test").XMLDesc()
    with pytest.raises(MachineError, match=said):
        way(connection, state, disk)
    assert [each.name for each in connection.domains()] == ["test"]
    assert connection.handle.lookupByName("test").XMLDesc() == before


@pytest.mark.parametrize("fault", FAULTS)
def test_create_lets_no_wrong_disk_in(
    state: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    disk, said = wrong(state, fault)
    (state / "kernel").touch()
    words = ["vm", "create", "--name", "box", "--accel", "tcg", "--connect", "test:///default"]
    words += ["--kernel", str(state / "kernel"), "--disk", f"{disk.path},format={disk.format}"]
    assert main.main(words) != 0
    told = capsys.readouterr().err
    assert any(each in told for each in said.split("|")), told
    assert not list((state / "machines").glob("*"))


@needs_qemu_img
def test_whatever_defines_a_machine_notes_what_it_reads(state: Path, tmp_path: Path) -> None:
    """An image is in use by a disk that lies anywhere, be it described in libvirt's words."""
    source = tmp_path / "source.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", source, "1M"], check=True)
    image = Store().import_image("one", str(source))
    clone = tmp_path / "far.qcow2"
    disks.clone(image.disk, clone)
    with Connection.open(state / "c", "test:///default") as connection:
        described = connection.xml(machine(state, Disk(clone)), {})
        definitions.define(connection, described.replace('type="qemu"', 'type="test"'))
    with pytest.raises(MachineError, match=r"far.qcow2 reads from image one"):
        Store().remove("one")


# ---- what is packed, or something else


def packed(content: bytes) -> dict[str, bytes]:
    archive, tar = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("disk.img", content)
    with tarfile.open(fileobj=tar, mode="w") as file:
        member = tarfile.TarInfo("disk.img")
        member.size = len(content)
        file.addfile(member, io.BytesIO(content))
    return {
        "xz": lzma.compress(content),
        "gzip": gzip.compress(content),
        "bzip2": bz2.compress(content),
        "zstd": b"\x28\xb5\x2f\xfd" + content,
        "lz4": b"\x04\x22\x4d\x18" + content,
        "zip": archive.getvalue(),
        "tar archive": tar.getvalue(),
    }


@pytest.mark.parametrize("kind", sorted(packed(b"")))
@pytest.mark.parametrize("format_", ["qcow2", "raw"])
def test_a_packed_image_is_named_as_packed(state: Path, kind: str, format_: str) -> None:
    path = state / "image"
    path.write_bytes(packed(b"QFI\xfb" + bytes(4096))[kind])
    with pytest.raises(MachineError, match=f"{kind}.*unpack it"):
        formats.refuse_other(path, format_)
    with pytest.raises(MachineError, match=f"{kind}.*unpack it"):
        Store().import_image("one", str(path), source_format=format_)
    assert Store().images() == []


@needs_qemu_img
@pytest.mark.parametrize("format_", ["qcow", "qed", "vmdk", "vhdx", "vpc", "vdi", "parallels"])
@pytest.mark.parametrize("named", ["qcow2", "raw"])
def test_an_image_of_another_format_is_named(state: Path, format_: str, named: str) -> None:
    path = state / "image"
    made = subprocess.run(["qemu-img", "create", "-q", "-f", format_, path, "1M"], check=False)
    if made.returncode:
        pytest.skip(f"this qemu-img makes no {format_}")
    with pytest.raises(MachineError, match=f"is a {format_} image.*qemu-img convert"):
        formats.refuse_other(path, named)


def test_a_fixed_vpc_disk_is_known_by_its_end(state: Path) -> None:
    """Its guest would see a disk that is one sector too long; nothing is lost by that."""
    path = raw(state / "image")
    with path.open("ab") as file:
        file.write(b"conectix" + bytes(504))
    formats.refuse_other(path, "raw")  # a raw disk may end in anything


# ---- who reads an image


@needs_qemu_img
@pytest.mark.parametrize(
    "way", ["kept", "renamed", "foreground", "chain", "noted", "store by a link", "disk by a link"]
)
def test_an_image_that_is_read_stays_as_it_is(state: Path, tmp_path: Path, way: str) -> None:
    source = tmp_path / "source.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", source, "1M"], check=True)
    image = Store().import_image("one", str(source))
    place = state / {"foreground": "r/1", "kept": "machines/box"}.get(way, "machines/other")
    place.mkdir(parents=True)
    base, clone = image.disk, place / "disk.qcow2"
    if way == "store by a link":
        (tmp_path / "link").symlink_to(state / "images")
        base = tmp_path / "link/one/disk.qcow2"
    elif way == "disk by a link":
        base = tmp_path / "link.qcow2"
        base.symlink_to(image.disk)
    elif way == "noted":
        clone = tmp_path / "far.qcow2"
    disks.clone(base, clone)
    if way == "chain":
        disks.clone(clone, place / "disk.snapshot")
        clone = clone.rename(tmp_path / "moved.qcow2")
        disks.name_base(place / "disk.snapshot", (clone, "qcow2"))
    elif way == "renamed":
        place.rename(state / "machines/renamed")
    elif way == "noted":
        readers.note(clone)
    for refused in (lambda: Store().remove("one"), lambda: Store().resize("one", 4 * MIB)):
        with pytest.raises(MachineError, match="reads from image one"):
            refused()
    assert Store().find("one") == image
    assert struct.unpack(">Q", image.disk.read_bytes()[24:32]) == (MIB,)
