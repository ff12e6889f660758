"""The door for disk images: what each is, and which files it may lead QEMU to."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vms.errors import MachineError
from vms.storage import formats, qcow2

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from xml.etree import ElementTree as ET

_PROTOCOL = re.compile(r"[A-Za-z0-9+.-]+:")
_LONGEST_CHAIN = 32


def refuse_unsafe(
    path: Path, format_: str, directories: Sequence[Path], bases: Collection[Path] = ()
) -> None:
    """Refuse an image that is not what it is named as, is broken, or reads from elsewhere.

    It may read from what lies below the directories, and from the `bases`: what libvirt's
    snapshots of the machine have made its backing files. A raw image names no other file. Raises
    MachineError.
    """
    stores = [directory.resolve() for directory in directories]
    allowed = {base.resolve() for base in bases}
    for _ in range(_LONGEST_CHAIN):
        formats.refuse_other(path, format_)
        if format_ != "qcow2":
            return
        image = _known(path)
        if image.data_file is not None:
            raise MachineError(
                f"{path} keeps its data in another file ({image.data_file}): merge them with"
                " qemu-img convert."
            )
        if image.is_encrypted:
            raise MachineError(
                f"{path} is encrypted, and no machine has its key: qemu-img convert decrypts it."
            )
        if image.backing is None:
            return
        path, format_ = _backing(image, stores, allowed)
    raise MachineError(f"{path} has a longer chain of backing files than any image should.")


@dataclass(frozen=True, slots=True)
class DiskFile:
    """The file of a disk, as a description in libvirt's words has it."""

    path: Path
    format: str
    is_written: bool


def disk_files(described: ET.Element) -> Iterator[DiskFile]:
    """The files of a description's disks."""
    for disk in described.findall("./devices/disk"):
        source, driver = disk.find("source"), disk.find("driver")
        if source is not None and (file := source.get("file")):
            format_ = "raw" if driver is None else driver.get("type", "raw")
            yield DiskFile(Path(file), format_, disk.find("readonly") is None)


def _backing(
    image: qcow2.Image, stores: Sequence[Path], allowed: Collection[Path]
) -> tuple[Path, str]:
    """The backing file and its format. QEMU would guess a format that is not named."""
    name = image.backing or ""
    path = (image.path.parent / name).resolve()
    if _PROTOCOL.match(name) or not (
        path in allowed or any(path.is_relative_to(store) for store in stores)
    ):
        raise MachineError(
            f"{image.path} reads from {name}, which is not in the image store"
            f" ({', '.join(map(str, stores))}): import that image, and clone it there."
        )
    if not path.is_file():
        raise MachineError(f"{image.path} reads from {path}, which is not there.")
    if image.backing_format not in {"qcow2", "raw"}:
        raise MachineError(
            f"{image.path} does not say which format {path} has: qemu-img rebase -u -F does."
        )
    return path, image.backing_format


def _known(path: Path) -> qcow2.Image:
    try:
        status = path.stat()
    except OSError as error:
        raise MachineError(f"Can't read {path}: {error.strerror}.") from error
    return _read(path, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _read(path: Path, *_: int) -> qcow2.Image:
    return qcow2.read(path)
