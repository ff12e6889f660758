"""Snapshots never destroy data: mixed kinds, shared backing files, raw disks, failing jobs.

Most machines here are never started: qemu-io writes to their disks in place of the guests.
"""

from __future__ import annotations

import dataclasses
import shutil
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

import vms
from lab.paths import cache_directory
from lab.userland import guest_kernel
from vms.connection import daemon
from vms.operations import clone as cloning
from vms.operations import migrate, snapshots
from vms.qemu import acceleration
from vms.storage import disks, overlays, qcow2
from vms.storage.image_store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        not shutil.which("qemu-io"), reason="qemu-io is not installed: apt-get install qemu-utils"
    ),
]
IMAGES = (cache_directory(),)
SIZE = "16M"
SECONDS = 60.0


@pytest.fixture(scope="module")
def connection(embedded: Path) -> Iterator[vms.Connection]:
    with vms.Connection.open(embedded / "l-tested", image_directories=IMAGES) as opened:
        yield opened


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TONNAGE_STATE", str(tmp_path / "st"))
    return tmp_path / "st"


def image(path: Path, fill: int = 1, size: str = SIZE, format_: str = "qcow2") -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", format_, path, size], check=True)
    write(path, fill, format_=format_)
    return path


def write(path: Path, fill: int, at: str = "0", much: str = "1M", format_: str = "qcow2") -> None:
    words = ["qemu-io", "-f", format_, "-c", f"write -P {fill} {at} {much}", str(path)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def holds(path: Path, fill: int, at: str = "0", format_: str = "qcow2") -> bool:
    """Return True if QEMU reads that byte throughout the MiB at the offset."""
    words = ["qemu-io", "-U", "-f", format_, "-r", "-c", f"read -P {fill} {at} 1M", str(path)]
    result = subprocess.run(words, check=True, capture_output=True, text=True)
    return "verification failed" not in result.stdout + result.stderr


def described(name: str, *images: vms.Disk) -> vms.Machine:
    kernel, initramfs = guest_kernel.probe_machine(lambda _: None)
    return vms.Machine(
        name=name,
        vcpus=1,
        memory_mib=96,
        accelerator=vms.Accelerator.TCG,
        chipset="microvm",
        boot=vms.DirectKernel(
            kernel, initramfs, f"console=ttyS0 quiet panic=-1 {acceleration.kernel_words()}"
        ),
        disks=images,
        channels=("tonnage.events", "tonnage.agent"),
    )


@contextmanager
def defined(connection: vms.Connection, name: str, *images: vms.Disk) -> Iterator[vms.Domain]:
    box = connection.define(described(name, *images))
    try:
        yield box
    finally:
        box.destroy()
        box.undefine()


def now(box: vms.Domain, target: str = "vda") -> Path:
    return snapshots.images(box)[target]


def names(box: vms.Domain) -> list[str]:
    return [each.name for each in snapshots.of(box)]


# ---- mixed kinds


def test_an_overlay_with_an_internal_snapshot_is_not_merged(
    connection: vms.Connection, tmp_path: Path
) -> None:
    disk = image(tmp_path / "m.qcow2", 1)
    with defined(connection, "mixed", vms.Disk(disk)) as box:
        snapshots.create(box, "outer", external=True)
        write(now(box), 2)
        snapshots.create(box, "inner")
        write(now(box), 3)
        for act in (snapshots.delete, snapshots.revert):
            with pytest.raises(vms.MachineError, match=r"holds internal snapshots \(inner\)"):
                act(box, "outer")
        with pytest.raises(vms.MachineError, match=r"holds internal snapshots \(inner\)"):
            snapshots.commit(box, "vda")
        assert holds(now(box), 3)
        snapshots.revert(box, "inner")
        assert holds(now(box), 2)
        snapshots.delete(box, "inner")
        snapshots.delete(box, "outer")
        assert (now(box), holds(disk, 2), names(box)) == (disk, True, [])


def test_an_internal_snapshot_below_an_overlay_waits_for_the_merge(
    connection: vms.Connection, tmp_path: Path
) -> None:
    """Both of two disks have an overlay, and the machine is off or running."""
    disk, more = image(tmp_path / "m.qcow2", 1), image(tmp_path / "n.qcow2", 11)
    with defined(connection, "below", vms.Disk(disk), vms.Disk(more)) as box:
        snapshots.create(box, "inner")
        write(disk, 2)
        snapshots.create(box, "outer", external=True)
        write(now(box), 3)
        with pytest.raises(vms.MachineError, match="would destroy what came later"):
            snapshots.revert(box, "inner")
        box.start()
        for act in (snapshots.revert, snapshots.delete):
            with pytest.raises(vms.MachineError, match="came later"):
                act(box, "inner")
        assert box.is_running
        box.destroy()
        assert holds(now(box), 3)
        assert holds(disk, 2)
        snapshots.delete(box, "outer")
        assert (now(box), now(box, "vdb"), holds(disk, 3)) == (disk, more, True)
        snapshots.revert(box, "inner")
        assert holds(disk, 1)
        snapshots.delete(box, "inner")
        assert sorted(path.name for path in tmp_path.glob("?.*")) == ["m.qcow2", "n.qcow2"]


# ---- images with other readers


def overlay_of(base: Path, way: str, tmp_path: Path, state: Path) -> Path:
    """Write an image whose backing file is the base, at one of several places."""
    if way == "beside":
        over = base.with_name("theirs.qcow2")
    elif way == "of a created machine":
        over = state / "machines/theirs/disk.qcow2"
    else:
        over = tmp_path / "far/theirs.qcow2"
    over.parent.mkdir(parents=True, exist_ok=True)
    named = base
    if way == "by a link":
        named = tmp_path / "far/link.qcow2"
        named.symlink_to(base)
        over = base.with_name("theirs.qcow2")
    disks.clone(named, over)
    return over


@pytest.mark.parametrize(
    "way", ["beside", "of a created machine", "by a link", "of a machine in libvirt"]
)
def test_no_overlay_is_merged_into_a_shared_backing_file(
    connection: vms.Connection, tmp_path: Path, state: Path, way: str
) -> None:
    (tmp_path / "d").mkdir()
    disk = image(tmp_path / "d/m.qcow2", 1)
    with defined(connection, "origin", vms.Disk(disk)) as box:
        snapshots.create(box, "one", external=True)
        write(now(box), 9, at="4M")
        over = overlay_of(disk, way, tmp_path, state)
        extra = [vms.Disk(over)] if way.endswith("libvirt") else []
        other = connection.define_xml(
            connection.xml(described("theirs", *extra), connection.paths_of(described("theirs")))
        )
        try:
            before = disk.read_bytes()
            for running in (False, True):
                if running:
                    box.start()
                with pytest.raises(vms.MachineError, match=r"theirs.qcow2|disk.qcow2"):
                    snapshots.delete(box, "one")
                with pytest.raises(vms.MachineError, match="which would change"):
                    snapshots.commit(box, "vda")
            assert disk.read_bytes() == before
            box.destroy()
            over.unlink()
            snapshots.delete(box, "one")
            assert holds(disk, 9, at="4M")
        finally:
            other.undefine()


def test_a_clone_keeps_its_contents(connection: vms.Connection, tmp_path: Path) -> None:
    """A clone of a machine with two overlays reads from none of them."""
    disk = image(tmp_path / "m.qcow2", 1)
    with defined(connection, "orig", vms.Disk(disk)) as box:
        for number, name in enumerate(("one", "two"), start=2):
            snapshots.create(box, name, external=True)
            write(now(box), number, at=f"{number}M")
        twin = cloning.clone(connection, box, "twin")
        try:
            mine = now(twin)
            assert overlays.backing(qcow2.read(mine)) is None
            write(now(box), 8, at="2M")
            for name in ("two", "one"):
                snapshots.delete(box, name)
            assert holds(mine, 1)
            assert holds(mine, 2, at="2M")
            assert holds(mine, 3, at="3M")
        finally:
            twin.undefine()


def test_a_golden_image_is_never_committed_into(
    connection: vms.Connection, tmp_path: Path, embedded: Path
) -> None:
    store = Store(embedded / "golden")
    golden = store.import_image("one", str(image(tmp_path / "i.qcow2", 7)))
    clone = tmp_path / "clone.qcow2"
    disks.clone(golden.disk, clone)
    digest = golden.disk.read_bytes()
    with defined(connection, "thin", vms.Disk(clone)) as box:
        write(clone, 2)
        for running in (False, True):
            if running:
                box.start()
            with pytest.raises(vms.MachineError, match="belongs to the image store"):
                snapshots.commit(box, "vda")
        with pytest.raises(vms.MachineError, match="give the machine a clone"):
            connection.define(described("bold", vms.Disk(golden.disk)))
    assert golden.disk.read_bytes() == digest
    shutil.rmtree(store.directory)


# ---- raw disks, and checks before the machine is stopped


def test_a_raw_disk_is_reverted_and_merged(connection: vms.Connection, tmp_path: Path) -> None:
    raw, disk = image(tmp_path / "a.raw", 1, format_="raw"), image(tmp_path / "b.qcow2", 2)
    with defined(connection, "rawbox", vms.Disk(raw, format="raw"), vms.Disk(disk)) as box:
        box.start()
        snapshots.create(box, "s", external=True)
        snapshots.revert(box, "s")
        assert box.is_running
        box.destroy()
        write(now(box), 5)
        snapshots.delete(box, "s")
        assert snapshots.images(box) == {"vda": raw, "vdb": disk}
        assert holds(raw, 5, format_="raw")
        assert holds(disk, 2)


@pytest.mark.parametrize("fault", ["the base is gone", "the overlay is gone", "another reads it"])
def test_a_revert_is_refused_before_the_machine_is_stopped(
    connection: vms.Connection, tmp_path: Path, fault: str
) -> None:
    raw, disk = image(tmp_path / "a.raw", 1, format_="raw"), image(tmp_path / "b.qcow2", 2)
    with defined(connection, "stays", vms.Disk(disk), vms.Disk(raw, format="raw")) as box:
        box.start()
        snapshots.create(box, "s", external=True)
        last, overlay = now(box, "vdb"), tmp_path / "moved"
        if fault == "the base is gone":
            raw.rename(overlay)
        elif fault == "the overlay is gone":
            last.rename(overlay)
        else:
            disks.clone(last, tmp_path / "theirs.qcow2")
        pid = box.vmm_pid
        with pytest.raises(vms.MachineError):
            snapshots.revert(box, "s")
        assert (box.is_running, box.vmm_pid) == (True, pid)
        assert not list(tmp_path.glob(".*"))  # no new overlay was left


# ---- transient machines


@pytest.mark.parametrize("way", ["internal", "external", "restore"])
def test_a_transient_machine_is_reverted_or_restored(
    connection: vms.Connection, tmp_path: Path, way: str
) -> None:
    """The new QEMU has the driver's monitor and the forwarded ports, as the old one had."""
    disk = image(tmp_path / "m.qcow2", 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    cards = (vms.UserNetwork((vms.Forward(port, 7),)),)
    machine = dataclasses.replace(described("started", vms.Disk(disk)), networks=cards)
    with connection.start(machine) as box:
        box.wait_for("first-instruction", SECONDS)
        socket.create_connection(("127.0.0.1", port), 5).close()
        if way == "restore":
            box.save(tmp_path / "memory")
            restored = connection.restore(tmp_path / "memory")
        else:
            snapshots.create(box, "s", external=way == "external")
            snapshots.revert(box, "s")
            assert names(box) == ["s"]
            restored = box
        assert restored.is_running
        socket.create_connection(("127.0.0.1", port), 5).close()
        restored.wait_for("ready", SECONDS)
        restored.destroy()
        assert "started" not in [each.name for each in connection.domains()]


# ---- block jobs


def test_merges_succeed_right_after_the_start_and_in_a_row(
    connection: vms.Connection, tmp_path: Path
) -> None:
    disk = image(tmp_path / "m.qcow2", 1, "64M")
    with defined(connection, "jobs", vms.Disk(disk)) as box:
        box.start()
        for number in range(12):
            snapshots.create(box, f"s{number}", external=True)
            snapshots.delete(box, f"s{number}")
        assert (names(box), now(box)) == ([], disk)
    assert [path.name for path in tmp_path.glob("m.*")] == ["m.qcow2"]


def test_a_failed_merge_leaves_no_job(connection: vms.Connection, tmp_path: Path) -> None:
    """The next merge of the disk succeeds, and nothing that was written is lost."""
    disk = image(tmp_path / "m.qcow2", 1, "512M")
    with defined(connection, "slow", vms.Disk(disk)) as box:
        snapshots.create(box, "s", external=True)
        overlay = now(box)
        write(overlay, 4, much="384M")
        box.start()
        with pytest.raises(vms.MachineError, match=r"was not merged within 0 s"):
            snapshots.commit(box, "vda", timeout_seconds=0.0)
        assert box.handle.blockJobInfo("vda", 0) in ({}, None)
        assert now(box) == overlay
        snapshots.delete(box, "s")
        assert (names(box), now(box), overlay.exists()) == ([], disk, False)
        box.destroy()
        assert holds(disk, 4, at="383M")


# ---- disks of a migrated machine


def test_the_destination_of_a_migration_checks_the_disks(
    connection: vms.Connection, embedded: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"the host's" * 1000)
    evil = tmp_path / "evil.qcow2"
    backing = ["-b", str(secret), "-F", "raw"]
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(evil), "1M"], check=True
    )
    xml = connection.xml(
        described("moves", vms.Disk(evil)), connection.paths_of(described("moves"))
    )
    with (
        daemon.running(embedded / "m") as uri,
        vms.Connection.open(embedded / "n", uri, image_directories=IMAGES) as there,
    ):
        box = connection.define_xml(xml)  # as libvirt's own tools do, which check nothing
        try:
            box.start()
            with pytest.raises(vms.MachineError, match="which is not in the image store"):
                migrate.migrate(box, there)
            assert box.is_running
            assert there.domains() == []
        finally:
            box.destroy()
            box.undefine()
