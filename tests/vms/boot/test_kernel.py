"""Guest kernels: found in the cache, fetched from apt, unpacked."""

from __future__ import annotations

import gzip
import lzma
import shutil
import struct
from typing import TYPE_CHECKING

import pytest

from vms import MachineError
from vms.boot import kernel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def test_a_kernel_in_the_cache_is_not_fetched(
    guest: kernel.Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert kernel.fetch(tmp_path) == guest


def test_a_host_without_apt_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="apt-cache is missing"):
        kernel.fetch(tmp_path / "cache")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_faster", [True, False])
def test_two_processes_may_fetch_a_kernel_at_once(
    guest: kernel.Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_faster: bool
) -> None:
    other, cache = tmp_path / "other", tmp_path / "cache"
    for top in (guest.vmlinuz.parent, *guest.modules.parents[:1]):
        shutil.copytree(top, other / top.relative_to(guest.vmlinuz.parents[1]))
    shutil.copytree(other, tmp_path / "package")

    def run(words: Sequence[str], cwd: Path | None = None) -> None:
        if cwd:
            (cwd / "linux.deb").touch()
            return
        shutil.copytree(tmp_path / "package", words[-1], dirs_exist_ok=True)
        if is_faster:
            other.rename(cache)

    monkeypatch.setattr(kernel, "_run", run)
    monkeypatch.setattr(kernel, "_concrete_package", lambda: "linux")
    assert kernel.fetch(cache).vmlinuz.is_relative_to(cache)
    assert not list(tmp_path.glob(".cache*"))


def compressed(directory: Path, payload: bytes) -> Path:
    """Return a kernel image whose setup header says where the payload is."""
    setup = bytearray(1024)
    setup[0x1F1] = 1
    setup[0x202:0x206] = b"HdrS"
    setup[0x248:0x250] = struct.pack("<II", 16, len(payload))
    path = directory / "vmlinuz"
    path.write_bytes(bytes(setup) + b"unpacks".ljust(16, b".") + payload + b"behind it")
    return path


@pytest.mark.parametrize("format_", ["gzip", "xz"])
def test_a_compressed_kernel_is_unpacked(format_: str, tmp_path: Path) -> None:
    image = b"\x7fELF" + bytes(5000)
    size = struct.pack("<I", len(image))
    # gzip ends with the size by itself; to the other formats the kernel's build appends it.
    payload = gzip.compress(image) if format_ == "gzip" else lzma.compress(image) + size
    kernel.uncompress(compressed(tmp_path, payload), tmp_path / "vmlinux")
    assert (tmp_path / "vmlinux").read_bytes() == image


def test_other_files_and_unknown_compression_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("nothing of the kind" * 100)
    with pytest.raises(MachineError, match="text is not a Linux kernel for x86"):
        kernel.uncompress(tmp_path / "text", tmp_path / "vmlinux")
    with pytest.raises(MachineError, match="is compressed in an unknown format"):
        kernel.uncompress(compressed(tmp_path, b"BZh9..."), tmp_path / "vmlinux")
    with pytest.raises(MachineError, match=r"gzip can't unpack .*vmlinuz: .* damaged"):
        kernel.uncompress(compressed(tmp_path, b"\x1f\x8b broken"), tmp_path / "vmlinux")
