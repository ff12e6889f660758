"""Verbs on machines of a libvirt daemon, as typed by a user, with real QEMUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from lab.userland import build
from tests.system.pipes import await_words
from vms import Connection
from vms.connection import daemon
from vms.storage.image_store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root
TONNAGE = str(Path(sys.executable).with_name("tonnage"))


@pytest.fixture(scope="module")
def keeper() -> Iterator[tuple[str, Path]]:
    """Yield the address of a private libvirtd, and a state directory with an image."""
    with tempfile.TemporaryDirectory(prefix="tv-", dir="/tmp") as path:
        land = build.build(lambda _: None)
        words = "console=ttyS0 quiet TONNAGE_ROOT=/dev/vda TONNAGE_INIT=/bin/sh"
        Store(Path(path) / "images").add(
            "small", "a test", land.disk, land.kernel, land.initramfs, words
        )
        with daemon.running(Path(path) / "d") as uri:
            yield uri, Path(path)


def environment(keeper: tuple[str, Path]) -> dict[str, str]:
    return {**os.environ, "TONNAGE_STATE": str(keeper[1]), "LIBVIRT_DEFAULT_URI": keeper[0]}


def tonnage(keeper: tuple[str, Path], *words: str, fails: bool = False, **more: str) -> str:
    """Run a verb and return its stdout; if it fails, its stderr."""
    result = subprocess.run(
        [TONNAGE, "vm", *words], env={**environment(keeper), **more},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert result.returncode == (2 if fails else 0), result.stderr
    return result.stderr if fails else result.stdout


@pytest.fixture
def box(keeper: tuple[str, Path], request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.originalname.removeprefix("test_")[:20]
    words = ("--accel", "tcg", "--memory", "128", "--network", "none", "--cdrom", __file__)
    tonnage(keeper, "create", "small", "--name", name, *words)
    yield name
    listed = json.loads(tonnage(keeper, "list", "--format", "json"))
    for each in listed:
        if each["state"] != "shut off":
            tonnage(keeper, "destroy", each["name"])
        if each["is_persistent"]:
            tonnage(keeper, "undefine", each["name"], "--remove-all-storage")


def start_paused(keeper: tuple[str, Path], name: str) -> None:
    """Start a QEMU with halted CPUs, which suffices for requests to QEMU alone."""
    with Connection.open(keeper[1] / "c", keeper[0]) as connection:
        connection.find(name).start(paused=True)


def described(keeper: tuple[str, Path], name: str) -> ET.Element:
    return ET.fromstring(tonnage(keeper, "dumpxml", name))


def test_ports(keeper: tuple[str, Path], box: str, tmp_path: Path) -> None:
    """A machine takes several disks and a card while it runs, without further options."""
    start_paused(keeper, box)
    for number in range(4):
        disk = tmp_path / f"{number}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "8M"], check=True)
        assert tonnage(keeper, "attach-disk", box, str(disk)) == f"vd{'bcde'[number]}\n"
    mac = "52-54-00-AB-CD-EF"
    assert tonnage(keeper, "attach-interface", box, "--mac", mac) == "52:54:00:ab:cd:ef\n"
    error = tonnage(keeper, "attach-interface", box, "--mac", "5254.00ab.cdef", fails=True)
    assert "has a card with the address 5254.00ab.cdef already" in error


def test_addresses(keeper: tuple[str, Path], box: str) -> None:
    """A card is detached by its address in any notation."""
    printed = tonnage(keeper, "attach-interface", box, "--mac", "52:54:00:ab:cd:01")
    assert printed == "52:54:00:ab:cd:01\n"
    tonnage(keeper, "detach-interface", box, "52-54-00-AB-CD-01")
    assert described(keeper, box).findall("./devices/interface") == []


def test_media(keeper: tuple[str, Path], box: str, tmp_path: Path) -> None:
    """A medium is ejected and inserted in the running machine and in its definition."""
    (tmp_path / "two, 2.iso").write_bytes(b"another medium")
    start_paused(keeper, box)

    def medium(*words: str) -> str | None:
        description = ET.fromstring(tonnage(keeper, "dumpxml", box, *words))
        source = description.find("./devices/disk[@device='cdrom']/source")
        return None if source is None else source.get("file")

    assert medium() == medium("--inactive") == __file__
    tonnage(keeper, "change-media", box, "--eject")
    assert medium() is medium("--inactive") is None
    tonnage(keeper, "change-media", box, str(tmp_path / "two, 2.iso"), "--target", "sda")
    assert medium() == medium("--inactive") == str(tmp_path / "two, 2.iso")
    assert "Can't read" in tonnage(keeper, "change-media", box, "nowhere", fails=True)
    assert medium() == str(tmp_path / "two, 2.iso")


def test_consoles(keeper: tuple[str, Path], box: str) -> None:
    """A second user of a console is refused, or takes it over, and both users are told."""
    tonnage(keeper, "start", box)
    with console(keeper, box) as first:
        await_words(first.stdout, b"# ")
        error = tonnage(keeper, "console", box, fails=True)
        assert (
            "another user has the console: ask them to leave it, or take it over (--force)" in error
        )
        with console(keeper, box, "--force") as second:
            assert first.wait(30) == 2
            assert first.stderr is not None
            error = first.stderr.read().decode()
            assert f"Another user took over the console of {box}." in error
            assert second.stdin is not None
            second.stdin.write(b"echo $((6*7))-is-said\r")
            second.stdin.flush()
            await_words(second.stdout, b"42-is-said")
            second.stdin.write(b"\x1d")
            second.stdin.flush()
            assert second.wait(30) == 0
    with console(keeper, box) as third:
        assert third.stdin is not None
        third.stdin.write(b"\r")
        third.stdin.flush()
        await_words(third.stdout, b"# ")
        tonnage(keeper, "destroy", box)
        assert third.wait(30) == 0
        assert third.stderr is not None
        assert f"{box} ended" in third.stderr.read().decode()


@contextmanager
def console(keeper: tuple[str, Path], box: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [TONNAGE, "vm", "console", box, *words], env=environment(keeper),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.terminate()


def test_edit(keeper: tuple[str, Path], box: str) -> None:
    tonnage(keeper, "edit", box, EDITOR="sed -i s|>131072<|>262144<|")
    assert described(keeper, box).findtext("memory") == "262144"
    error = tonnage(keeper, "edit", box, fails=True, EDITOR="sed -i s|<vcpu|<cpus|")
    kept = Path(error.rpartition(" ")[2].strip().removesuffix("."))
    assert "<cpus" in kept.read_text()
    kept.unlink()
    assert described(keeper, box).findtext("memory") == "262144"


def test_metadata(keeper: tuple[str, Path], box: str) -> None:
    """A snapshot that is deleted with --metadata stays in the disk."""
    tonnage(keeper, "snapshot-create", box, "one")
    tonnage(keeper, "snapshot-delete", box, "one", "--metadata")
    assert json.loads(tonnage(keeper, "snapshot-list", box, "--format", "json")) == []
    disk = keeper[1] / "machines" / box / "disk.qcow2"
    listed = subprocess.run(["qemu-img", "snapshot", "-l", disk], capture_output=True, check=True)
    assert b" one " in listed.stdout


def test_storage(keeper: tuple[str, Path], box: str) -> None:
    """The machine's disks are removed with it, unless another machine's disk reads from one."""
    folder = keeper[1] / "machines" / box
    over = folder / "over.qcow2"
    words = ["-b", str(folder / "disk.qcow2"), "-F", "qcow2", str(over)]
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *words], check=True)
    elsewhere = over.rename(keeper[1] / "machines/over.qcow2")
    error = tonnage(keeper, "undefine", box, "--remove-all-storage", fails=True)
    assert "over.qcow2 reads from" in error
    assert (folder / "disk.qcow2").exists()
    assert described(keeper, box).findtext("name") == box
    elsewhere.unlink()
    tonnage(keeper, "undefine", box, "--remove-all-storage")
    assert not folder.exists()
    assert Store(keeper[1] / "images").find("small").disk.exists()
    assert Path(__file__).exists()  # read-only files stay
