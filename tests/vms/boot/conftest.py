"""A kernel made of small files, whose modules depend on each other."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING

import pytest

from vms.boot.kernel import Kernel

if TYPE_CHECKING:
    from pathlib import Path


def module(*depends: str) -> bytes:
    return b"\x7fELF\0license=GPL\0depends=" + ",".join(depends).encode() + b"\0name=x\0"


@pytest.fixture
def guest(tmp_path: Path) -> Kernel:
    """Return a kernel whose module c depends on b, and b on a."""
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
    return Kernel(image, "6.1-test", modules)
