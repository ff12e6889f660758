"""Every way in which a machine gets a disk applies the policy; on libvirt's test driver."""

from __future__ import annotations

import gzip
import subprocess
from typing import TYPE_CHECKING

import pytest

from lab.cli import main
from tests.vms.storage.sample_images import MIB, needs_qemu_img, raw
from vms import Accelerator, Connection, DirectKernel, Disk, Machine, MachineError
from vms.operations import definitions, hotplug
from vms.storage import disks, qcow2
from vms.storage.image_store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def golden(state: Path) -> Path:
    """Write an image that looks like one of the store."""
    disk = state / "images/one/disk.qcow2"
    disk.parent.mkdir(parents=True)
    qcow2.write_clone(raw(disk.with_name("base.raw")), "raw", disk, MIB)
    disk.with_name("image.json").touch()
    return disk


def bad_disk(state: Path, fault: str) -> tuple[Disk, str]:
    """Return a disk that no machine may have, and the error for it."""
    path = state / "disk"
    if fault == "nowhere":
        return Disk(path), "no file|No such file"
    if fault == "golden":
        return Disk(golden(state)), "give the machine a clone"
    if fault == "raw as qcow2":
        return Disk(raw(path)), "is not a qcow2 image"
    if fault == "directory":
        path.mkdir()
        return Disk(path), "no file|is not a regular file|directory"
    base = raw(state / "base")
    qcow2.write_clone(base, "raw", path, MIB)
    if fault == "qcow2 as raw":
        return Disk(path, format="raw"), "is a qcow2 image, not a raw image"
    if fault == "packed":
        path.write_bytes(gzip.compress(path.read_bytes()))
        return Disk(path), "is compressed with gzip"
    if fault == "chain to the outside":
        middle = golden(state).with_name("middle.qcow2")
        qcow2.write_clone(base, "raw", middle, MIB)
        path.unlink()
        qcow2.write_clone(middle, "qcow2", path, MIB)
    return Disk(path), "which is not in the image store"


FAULTS = (
    "nowhere", "directory", "golden", "raw as qcow2", "qcow2 as raw", "packed", "outside",
    "chain to the outside",
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
    """Define libvirt's own XML, as for machines that are edited, restored and migrated."""
    xml = connection.xml(machine(state, disk), {})
    return definitions.define(connection, xml.replace('type="qemu"', 'type="test"'))


WAYS = (define, start, attach, describe)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", WAYS)
def test_no_way_in_accepts_a_bad_disk(
    connection: Connection, state: Path, fault: str,
    way: Callable[[Connection, Path, Disk], object],
) -> None:  # fmt: skip
    disk, sentence = bad_disk(state, fault)
    before = connection.handle.lookupByName("test").XMLDesc()
    with pytest.raises(MachineError, match=sentence):
        way(connection, state, disk)
    assert [each.name for each in connection.domains()] == ["test"]
    assert connection.handle.lookupByName("test").XMLDesc() == before


@pytest.mark.parametrize("fault", FAULTS)
def test_create_accepts_no_bad_disk(
    state: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    disk, sentence = bad_disk(state, fault)
    (state / "kernel").touch()
    words = ["vm", "create", "--name", "box", "--accel", "tcg", "--connect", "test:///default"]
    words += ["--kernel", str(state / "kernel"), "--disk", f"{disk.path},format={disk.format}"]
    assert main.main(words) != 0
    error = capsys.readouterr().err
    assert any(part in error for part in sentence.split("|")), error
    assert not list((state / "machines").glob("*"))


@needs_qemu_img
def test_defining_a_machine_notes_the_image_that_its_disk_reads(
    state: Path, tmp_path: Path
) -> None:
    """A disk at any path keeps its image in use, also if libvirt's XML named it."""
    source = tmp_path / "source.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", source, "1M"], check=True)
    image = Store().import_image("one", str(source))
    clone = tmp_path / "far.qcow2"
    disks.clone(image.disk, clone)
    with Connection.open(state / "c", "test:///default") as connection:
        xml = connection.xml(machine(state, Disk(clone)), {})
        definitions.define(connection, xml.replace('type="qemu"', 'type="test"'))
    with pytest.raises(MachineError, match=r"far.qcow2 reads from image one"):
        Store().remove("one")
