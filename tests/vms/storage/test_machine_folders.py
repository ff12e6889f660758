"""Directories of machines and images are complete, or removed by the clean-up after a kill."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vms import Connection, MachineError, paths
from vms.linux import exchange
from vms.operations import clone
from vms.storage import machine_folders
from vms.storage.image_store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

URI = "test:///default"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TONNAGE_STATE", str(tmp_path))
    return tmp_path


@contextmanager
def at_work(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that stops half-way; kill it when the block ends."""
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        yield process
        process.send_signal(signal.SIGKILL)


CREATING = (
    "from vms.storage import machine_folders\n"
    "with machine_folders.new('box', '{uri}') as folder:\n"
    "    (folder / 'disk.qcow2').write_text('half')\n"
    "    print('begun', flush=True)\n"
    "    input()\n"
)


def test_a_killed_creation_is_removed_and_its_name_is_free(state: Path) -> None:
    with at_work(CREATING.format(uri=URI)):
        assert machine_folders.clean() == []
        with machine_folders.new("box", URI) as beside:
            assert beside == state / "machines/box.2"
    assert not beside.exists()  # it stayed empty
    assert machine_folders.clean() == [f"removed {state / 'machines/box'}"]
    with at_work(CREATING.format(uri=URI)):
        pass
    with machine_folders.new("box", URI) as again:
        (again / "disk").touch()
    assert list(paths.machines().iterdir()) == [state / "machines/box"] == [again]
    assert machine_folders.clean() == []
    assert list(again.iterdir()) == [again / "disk"]


def test_nothing_is_removed_if_libvirt_does_not_answer(state: Path) -> None:
    with at_work(CREATING.format(uri="qemu+unix:///system?socket=/none")):
        pass
    assert machine_folders.clean() == []
    assert (state / "machines/box/disk.qcow2").exists()


def test_a_failed_creation_leaves_no_directory(state: Path) -> None:
    with pytest.raises(KeyboardInterrupt), machine_folders.new("box", URI) as folder:
        (folder / "disk").touch()
        raise KeyboardInterrupt
    with machine_folders.new("shown", URI, stays=False) as folder:
        (folder / "disk").touch()
    assert list((state / "machines").iterdir()) == []


def test_a_directory_belongs_to_the_machine_with_disks_in_it(state: Path) -> None:
    for name in ("box", "box.2", "twin"):
        (state / "machines" / name).mkdir(parents=True)
    disk, theirs = state / "machines/box.2/disk.qcow2", state / "machines/box/vmlinux"
    assert machine_folders.of("box", f"<kernel>{theirs}<", [disk]) == [theirs.parent, disk.parent]
    assert machine_folders.of("twin", f"<kernel>{theirs}<", [disk]) == [disk.parent]
    assert machine_folders.of("box", "", []) == []


IMPORTING = (
    "from pathlib import Path\n"
    "from vms.storage.image_store import Store\n"
    "store = Store()\n"
    "with store._new('big') as staging:\n"
    "    (staging / 'source').write_text('half')\n"
    "    print('begun', flush=True)\n"
    "    input()\n"
)


def test_a_killed_import_is_removed(state: Path) -> None:
    store = Store()
    assert store.clean() == []
    with at_work(IMPORTING):
        assert store.clean() == []
        assert len(list(store.directory.iterdir())) == 1
    (left,) = store.directory.iterdir()
    removing = store.directory / ".small.12"
    removing.mkdir()
    (store.directory / ".readers").mkdir()
    assert store.clean() == sorted([f"removed {left}", f"removed {removing}"])
    assert [path.name for path in store.directory.iterdir()] == [".readers"]


def test_two_directories_are_exchanged(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    exchange(tmp_path / "one", tmp_path / "other")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["other"]
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["one"]
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "one", tmp_path / "none")


@pytest.mark.skipif(
    not shutil.which("qemu-img"), reason="qemu-img is not installed: apt-get install qemu-utils"
)
def test_a_clone_gets_another_directory_beside_an_undefined_machines(state: Path) -> None:
    disk = state / "machines/test/disk.qcow2"
    disk.parent.mkdir(parents=True)
    left = state / "machines/twin/disk.qcow2"
    left.parent.mkdir()
    left.write_text("an undefined machine's")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "1M"], check=True)
    with (
        tempfile.TemporaryDirectory(prefix="tv-", dir="/tmp") as sockets,
        Connection.open(Path(sockets), URI) as connection,
    ):
        xml = (
            "<domain type='test'><name>orig</name><memory>8192</memory><os><type>hvm</type></os>"
            "<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
            f"<source file='{disk}'/><target dev='vda' bus='virtio'/></disk></devices></domain>"
        )
        orig = connection.define_xml(xml)
        twin = clone.clone(connection, orig, "twin")
        assert f"{state}/machines/twin.2/disk.qcow2" in twin.handle.XMLDesc()
        with pytest.raises(MachineError, match="There is a machine twin already"):
            clone.clone(connection, orig, "twin")
    assert left.read_text() == "an undefined machine's"
