"""Readers of an image are found in every place."""

from __future__ import annotations

import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.vms.storage.sample_images import MIB, needs_qemu_img
from vms import MachineError
from vms.storage import disks, readers
from vms.storage.image_store import Store

if TYPE_CHECKING:
    from pathlib import Path


@needs_qemu_img
@pytest.mark.parametrize(
    "way",
    ["created", "renamed", "foreground", "chain", "noted", "store by a link", "disk by a link"],
)
def test_an_image_with_readers_is_neither_removed_nor_resized(
    state: Path, tmp_path: Path, way: str
) -> None:
    source = tmp_path / "source.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", source, "1M"], check=True)
    image = Store().import_image("one", str(source))
    folder = state / {"foreground": "r/1", "created": "machines/box"}.get(way, "machines/other")
    folder.mkdir(parents=True)
    base, clone = image.disk, folder / "disk.qcow2"
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
        disks.clone(clone, folder / "disk.snapshot")
        clone = clone.rename(tmp_path / "moved.qcow2")
        disks.set_backing_file(folder / "disk.snapshot", (clone, "qcow2"))
    elif way == "renamed":
        folder.rename(state / "machines/renamed")
    elif way == "noted":
        readers.note(clone)
    for change in (lambda: Store().remove("one"), lambda: Store().resize("one", 4 * MIB)):
        with pytest.raises(MachineError, match="reads from image one"):
            change()
    assert Store().find("one") == image
    assert struct.unpack(">Q", image.disk.read_bytes()[24:32]) == (MIB,)
