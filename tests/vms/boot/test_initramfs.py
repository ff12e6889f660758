"""Initramfs images with modules in the order of their dependencies."""

from __future__ import annotations

import lzma
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from vms import MachineError
from vms.boot.initramfs import build_initramfs

if TYPE_CHECKING:
    from pathlib import Path

    from vms.boot.kernel import Kernel


def names(archive: Path) -> list[str]:
    """Return the names in a newc archive, in order."""
    data, at = archive.read_bytes(), 0
    names: list[str] = []
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        size, length = fields[6], fields[11]
        name = data[at + 110 : at + 110 + length - 1].decode()
        if name == "TRAILER!!!":
            return names
        names.append(name)
        at += (110 + length + 3) // 4 * 4
        at += (size + 3) // 4 * 4


def test_modules_come_after_their_dependencies(guest: Kernel, tmp_path: Path) -> None:
    init = tmp_path / "init"
    init.write_bytes(b"#!")
    archive = tmp_path / "initramfs"
    build_initramfs(archive, init, guest, ["c_last", "ext4"])
    assert names(archive) == [
        "dev", "dev/console", "init", "modules",
        "modules/a.ko", "modules/b.ko", "modules/c_last.ko", "modules.load",
    ]  # fmt: skip
    assert b"/modules/a.ko\n/modules/b.ko\n/modules/c_last.ko\n" in archive.read_bytes()
    packed = (guest.modules / "kernel/drivers/b.ko.xz").read_bytes()
    assert packed not in archive.read_bytes()
    assert lzma.decompress(packed) in archive.read_bytes()


@pytest.mark.skipif(not shutil.which("cpio"), reason="cpio is not installed")
def test_cpio_reads_the_archive(guest: Kernel, tmp_path: Path) -> None:
    init = tmp_path / "init"
    init.write_bytes(b"#!/bin/true\n")
    archive = tmp_path / "initramfs"
    build_initramfs(archive, init, guest, ["a"])
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(
        ["cpio", "-i", "--quiet", "init", "modules", "modules/*", "modules.load"],
        cwd=out, stdin=archive.open("rb"), check=True,
    )  # fmt: skip
    assert (out / "init").read_bytes() == b"#!/bin/true\n"
    assert (out / "init").stat().st_mode & 0o777 == 0o755
    assert (out / "modules.load").read_text() == "/modules/a.ko\n"


def test_a_missing_module_is_named(guest: Kernel, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no module zeppelin"):
        build_initramfs(tmp_path / "x", guest.vmlinuz, guest, ["zeppelin"])
