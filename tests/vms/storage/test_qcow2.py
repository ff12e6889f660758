"""qcow2 images are examined before QEMU opens them, and QEMU accepts the clones."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from vms import MachineError
from vms.storage import disks, qcow2
from vms.storage.backing_file_policy import refuse_unsafe

pytestmark = pytest.mark.skipif(
    not shutil.which("qemu-img"), reason="qemu-img is not installed: apt-get install qemu-utils"
)
MIB = 1 << 20


def qemu_img(*words: object) -> str:
    argv = ["qemu-img", *map(str, words)]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a store directory that contains `base.qcow2`, with 3 MiB of data."""
    directory = tmp_path / "store"
    directory.mkdir()
    raw = tmp_path / "raw"
    raw.write_bytes(b"tonnage!" * (3 * MIB // 8) + bytes(13 * MIB))
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, directory / "base.qcow2")
    return directory


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * MIB)
    return secret


@pytest.mark.parametrize(
    "options", ["compat=0.10", "compat=1.1", "extended_l2=on", "cluster_size=4096"]
)
def test_a_header_written_by_qemu_img_is_read(tmp_path: Path, options: str) -> None:
    image = tmp_path / "image"
    qemu_img("create", "-f", "qcow2", "-o", options, image, "10M")
    assert qcow2.read(image) == qcow2.Image(image, 10 * MIB, None, None, None)


def test_compressed_images_are_read(store: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    disks.compress(store / "base.qcow2", small)
    assert qcow2.read(small).virtual_bytes == 16 * MIB


@pytest.mark.parametrize("size", [None, 32 * MIB, 5 << 40])
def test_qemu_accepts_a_clone(store: Path, tmp_path: Path, size: int | None) -> None:
    clone = tmp_path / "clone.qcow2"
    disks.clone(store / "base.qcow2", clone, size)
    assert clone.stat().st_blocks * 512 < MIB // 2
    assert "No errors" in qemu_img("check", clone)
    header = qcow2.read(clone)
    assert header.backing == str(store / "base.qcow2")
    assert header.backing_format == "qcow2"
    assert header.virtual_bytes == (size or 16 * MIB)
    if size is None:
        assert "identical" in qemu_img("compare", clone, store / "base.qcow2")
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 64k", str(clone)],
        check=True, capture_output=True,
    )  # fmt: skip
    assert "No errors" in qemu_img("check", clone)
    refuse_unsafe(clone, "qcow2", [store])


def test_no_image_shrinks(store: Path, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="can't be smaller"):
        disks.clone(store / "base.qcow2", tmp_path / "c", MIB)
    with pytest.raises(MachineError, match="can only grow"):
        disks.resize(store / "base.qcow2", MIB)
    disks.resize(store / "base.qcow2", 20 * MIB)
    assert qcow2.read(store / "base.qcow2").virtual_bytes == 20 * MIB


@pytest.mark.parametrize("length", [3, 60, 104, 70_000, 200_000, MIB, 2 * MIB])
def test_a_truncated_image_is_refused(store: Path, length: int) -> None:
    base = store / "base.qcow2"
    with base.open("r+b") as file:
        file.truncate(length)
    with pytest.raises(MachineError, match="is truncated"):
        qcow2.read(base)


def broken(image: Path, at: int, value: bytes) -> Path:
    with image.open("r+b") as file:
        file.seek(at)
        file.write(value)
    return image


@pytest.mark.parametrize(
    ("at", "value", "sentence"),
    [
        (0, b"QFI\0", "is not a qcow2 image"),
        (4, struct.pack(">I", 9), "it is corrupt"),
        (20, struct.pack(">I", 63), "it is corrupt"),
        (36, struct.pack(">I", 1 << 31), "it is corrupt"),
        (40, struct.pack(">Q", 1 << 60), "is truncated"),
        (72, struct.pack(">Q", 1 << 1), "is marked corrupt"),
    ],
)
def test_a_corrupt_header_is_refused(store: Path, at: int, value: bytes, sentence: str) -> None:
    with pytest.raises(MachineError, match=sentence):
        qcow2.read(broken(store / "base.qcow2", at, value))


def test_any_damage_is_an_image_or_a_sentence(store: Path) -> None:
    """A header with any byte changed is read or refused, and raises no other exception."""
    base = store / "base.qcow2"
    whole = base.read_bytes()
    for at in range(104):
        for value in (0, 0x7F, 0xFF):
            base.write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            try:
                qcow2.read(base)
            except MachineError as error:
                assert str(base) in str(error)


def test_a_backing_file_outside_the_store_is_refused(
    store: Path, outside: Path, tmp_path: Path
) -> None:
    image = tmp_path / "bad.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", outside, "-F", "raw", image)
    with pytest.raises(MachineError, match="secret, which is not in the image store"):
        refuse_unsafe(image, "qcow2", [store])
    link = store / "link"
    link.symlink_to(outside)
    qemu_img("rebase", "-u", "-b", link, "-F", "raw", image)
    with pytest.raises(MachineError, match="not in the image store"):
        refuse_unsafe(image, "qcow2", [store])
    qemu_img("rebase", "-u", "-b", f"{store}/../secret", "-F", "raw", image)
    with pytest.raises(MachineError, match="not in the image store"):
        refuse_unsafe(image, "qcow2", [store])


@pytest.mark.parametrize(
    "name", ['json:{"driver":"file","filename":"/etc/passwd"}', "nbd://h/x", "ssh://h/x"]
)
def test_a_backing_file_by_a_protocol_is_refused(store: Path, name: str, tmp_path: Path) -> None:
    image = tmp_path / "bad.qcow2"
    disks.clone(store / "base.qcow2", image)
    data = bytearray(image.read_bytes())
    at, length = struct.unpack(">QI", data[8:20])
    data[at : at + length] = name.encode().ljust(length, b" ")[: max(length, len(name))]
    data[16:20] = struct.pack(">I", len(name))
    image.write_bytes(data)
    with pytest.raises(MachineError, match="not in the image store"):
        refuse_unsafe(image, "qcow2", [store])


def test_the_whole_chain_is_followed(store: Path, outside: Path, tmp_path: Path) -> None:
    middle, top = store / "middle.qcow2", tmp_path / "top.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", outside, "-F", "raw", middle)
    disks.clone(middle, top)
    with pytest.raises(MachineError, match=r"middle.qcow2 reads from .*secret"):
        refuse_unsafe(top, "qcow2", [store])
    qemu_img("rebase", "-u", "-b", store / "base.qcow2", "-F", "qcow2", middle)
    refuse_unsafe(top, "qcow2", [store])
    qemu_img("rebase", "-u", "-b", middle, "-F", "qcow2", middle)  # a loop
    with pytest.raises(MachineError, match="more than 32 backing files"):
        refuse_unsafe(middle, "qcow2", [store])


def test_an_unnamed_backing_format_is_refused(store: Path, tmp_path: Path) -> None:
    image = tmp_path / "top.qcow2"
    disks.clone(store / "base.qcow2", image)
    head = image.read_bytes()
    image.write_bytes(head.replace(struct.pack(">I", 0xE2792ACA), struct.pack(">I", 0x6803F857), 1))
    with pytest.raises(MachineError, match="does not name the format"):
        refuse_unsafe(image, "qcow2", [store])


def test_a_data_file_is_refused(store: Path, tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path}/data.raw", image, "1M")
    with pytest.raises(MachineError, match=r"keeps its data in another file \(.*data.raw\)"):
        refuse_unsafe(image, "qcow2", [store])


def test_a_missing_backing_file_is_named(store: Path, tmp_path: Path) -> None:
    image = tmp_path / "image.qcow2"
    disks.clone(store / "base.qcow2", image)
    (store / "base.qcow2").unlink()
    with pytest.raises(MachineError, match=r"base.qcow2, which does not exist"):
        refuse_unsafe(image, "qcow2", [store])


def test_a_raw_image_may_contain_anything_but_an_image(outside: Path, store: Path) -> None:
    refuse_unsafe(outside, "raw", [])
    outside.write_bytes((store / "base.qcow2").read_bytes())
    with pytest.raises(MachineError, match="is a qcow2 image, not a raw image"):
        refuse_unsafe(outside, "raw", [])
