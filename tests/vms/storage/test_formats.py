"""Formats of image files, known by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.vms.storage.sample_images import needs_qemu_img, raw
from vms import MachineError
from vms.storage import formats
from vms.storage.image_store import Store

if TYPE_CHECKING:
    from pathlib import Path


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
def test_a_compressed_image_is_refused(state: Path, kind: str, format_: str) -> None:
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
def test_the_error_names_the_other_format(state: Path, format_: str, named: str) -> None:
    path = state / "image"
    result = subprocess.run(["qemu-img", "create", "-q", "-f", format_, path, "1M"], check=False)
    if result.returncode:
        pytest.skip(f"this qemu-img does not support {format_}")
    with pytest.raises(MachineError, match=f"is a {format_} image.*qemu-img convert"):
        formats.refuse_other(path, named)


def test_a_fixed_vpc_disk_is_taken_for_raw(state: Path) -> None:
    """Its magic bytes are in its last sector, by which the guest's disk is longer."""
    path = raw(state / "image")
    with path.open("ab") as file:
        file.write(b"conectix" + bytes(504))
    formats.refuse_other(path, "raw")  # a raw disk may end in anything
