"""Kernel, initramfs and disks, made of small parts."""

from __future__ import annotations

import gzip
import lzma
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from vms import MachineError
from vms.boot import kernel
from vms.storage import disks


def module(*depends: str) -> bytes:
    return b"\x7fELF\0license=GPL\0depends=" + ",".join(depends).encode() + b"\0name=x\0"


@pytest.fixture
def guest(tmp_path: Path) -> kernel.Kernel:
    """A kernel whose modules depend on each other: c on b, b on a."""
    modules = tmp_path / "lib/modules/6.1-test"
    drivers = modules / "kernel/drivers"
    drivers.mkdir(parents=True)
    (drivers / "c-last.ko").write_bytes(module("b", "ext4"))
    (drivers / "b.ko.xz").write_bytes(lzma.compress(module("a")))
    (drivers / "a.ko").write_bytes(module())
    (modules / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\n")
    (tmp_path / "boot").mkdir()
    image = tmp_path / "boot/vmlinuz-6.1-test"
    image.touch()
    return kernel.Kernel(image, "6.1-test", modules)


def names(archive: Path) -> list[str]:
    """The names in a newc archive, in order."""
    data, at = archive.read_bytes(), 0
    found: list[str] = []
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, length = fields[6], fields[11]
        name = data[at + 110 : at + 110 + length - 1].decode()
        if name == "TRAILER!!!":
            return found
        found.append(name)
        at += (110 + length + 3) // 4 * 4
        at += (size + 3) // 4 * 4


def test_modules_come_after_what_they_need(guest: kernel.Kernel, tmp_path: Path) -> None:
    init = tmp_path / "init"
    init.write_bytes(b"#!")
    archive = tmp_path / "initramfs"
    kernel.build_initramfs(archive, init, guest, ["c_last", "ext4"])
    assert names(archive) == [
        "dev", "dev/console", "init", "modules",
        "modules/a.ko", "modules/b.ko", "modules/c_last.ko", "modules.load",
    ]  # fmt: skip
    assert b"/modules/a.ko\n/modules/b.ko\n/modules/c_last.ko\n" in archive.read_bytes()
    assert lzma.compress(module("a")) not in archive.read_bytes()


@pytest.mark.skipif(not shutil.which("cpio"), reason="cpio is not installed")
def test_cpio_reads_the_archive(guest: kernel.Kernel, tmp_path: Path) -> None:
    init = tmp_path / "init"
    init.write_bytes(b"#!/bin/true\n")
    archive = tmp_path / "initramfs"
    kernel.build_initramfs(archive, init, guest, ["a"])
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(
        ["cpio", "-i", "--quiet", "init", "modules", "modules/*", "modules.load"],
        cwd=out, stdin=archive.open("rb"), check=True,
    )  # fmt: skip
    assert (out / "init").read_bytes() == b"#!/bin/true\n"
    assert (out / "init").stat().st_mode & 0o777 == 0o755
    assert (out / "modules.load").read_text() == "/modules/a.ko\n"


def test_a_module_that_is_not_there_is_named(guest: kernel.Kernel, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no module zeppelin"):
        kernel.build_initramfs(tmp_path / "x", guest.vmlinuz, guest, ["zeppelin"])


def test_a_kernel_in_the_cache_is_not_fetched(
    guest: kernel.Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert kernel.fetch(tmp_path) == guest


def test_a_host_without_apt_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="apt-cache is missing"):
        kernel.fetch(tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []


needs_tools = pytest.mark.skipif(
    not shutil.which("qemu-img") or not shutil.which("mke2fs"),
    reason="qemu-utils or e2fsprogs is not installed",
)


@needs_tools
def test_a_disk_holds_its_tree_and_a_clone_is_thin(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(b"tonnage" * 100_000)
    base, thin, small = (tmp_path / name for name in ("base.qcow2", "thin.qcow2", "small.qcow2"))
    disks.build_disk(tree, base, 64 << 20)
    assert not base.with_suffix(".raw").exists()
    disks.clone(base, thin)
    disks.compress(base, small)
    assert thin.stat().st_blocks * 512 < 1 << 20 < base.stat().st_blocks * 512
    assert small.stat().st_size < base.stat().st_size
    compared = subprocess.run(["qemu-img", "compare", "-q", str(thin), str(small)], check=False)
    assert compared.returncode == 0
    raw = tmp_path / "raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(thin), str(raw)], check=True)
    assert b"tonnage" * 100 in raw.read_bytes()


@needs_tools
def test_what_is_missing_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MachineError, match="There is no disk image"):
        disks.clone(tmp_path / "nowhere", tmp_path / "clone")
    with pytest.raises(MachineError, match="mke2fs failed"):
        disks.build_disk(tmp_path / "nowhere", tmp_path / "disk.qcow2", 1 << 20)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="apt-get install e2fsprogs"):
        disks.build_disk(tmp_path, tmp_path / "disk.qcow2", 1 << 20)
    assert list(tmp_path.iterdir()) == []


def compressed(directory: Path, payload: bytes) -> Path:
    """What the kernel's own set-up says of where its payload is, and the payload."""
    setup = bytearray(1024)
    setup[0x1F1] = 1
    setup[0x202:0x206] = b"HdrS"
    setup[0x248:0x250] = struct.pack("<II", 16, len(payload))
    path = directory / "vmlinuz"
    path.write_bytes(bytes(setup) + b"unpacks".ljust(16, b".") + payload + b"behind it")
    return path


@pytest.mark.parametrize("how", ["gzip", "xz"])
def test_the_image_inside_of_a_compressed_kernel(how: str, tmp_path: Path) -> None:
    image = b"\x7fELF" + bytes(5000)
    size = struct.pack("<I", len(image))
    # gzip ends with the size by itself; behind the others the kernel's build puts it.
    payload = gzip.compress(image) if how == "gzip" else lzma.compress(image) + size
    kernel.uncompress(compressed(tmp_path, payload), tmp_path / "vmlinux")
    assert (tmp_path / "vmlinux").read_bytes() == image


def test_what_is_no_kernel_or_packed_unknown_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("nothing of the kind" * 100)
    with pytest.raises(MachineError, match="text is no Linux kernel for x86"):
        kernel.uncompress(tmp_path / "text", tmp_path / "vmlinux")
    with pytest.raises(MachineError, match="in a way that is not known"):
        kernel.uncompress(compressed(tmp_path, b"BZh9..."), tmp_path / "vmlinux")
    with pytest.raises(MachineError, match="could not be unpacked by gzip"):
        kernel.uncompress(compressed(tmp_path, b"\x1f\x8b broken"), tmp_path / "vmlinux")
