"""The policy for disk images: their formats, and the files that they may make QEMU open."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vms.errors import InvalidImage, NotFound, os_error
from vms.storage import formats, qcow2

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from xml.etree import ElementTree as ET

_PROTOCOL = re.compile(r"[A-Za-z0-9+.-]+:")
_LONGEST_CHAIN = 32


def refuse_unsafe(
    path: Path, format_: str, directories: Sequence[Path], bases: Collection[Path] = ()
) -> None:
    """Raise MachineError for an image of another format, a damaged one, or an unsafe backing file.

    Backing files must lie below the directories or be among `bases`: the files that libvirt's
    snapshots of the machine made its backing files. A raw image names no other file.
    """
    stores = [directory.resolve() for directory in directories]
    allowed = {base.resolve() for base in bases}
    for _ in range(_LONGEST_CHAIN):
        formats.refuse_other(path, format_)
        if format_ != "qcow2":
            return
        image = _read(path)
        if image.data_file is not None:
            raise InvalidImage(
                f"{path} keeps its data in another file ({image.data_file}): merge both with"
                " qemu-img convert."
            )
        if image.is_encrypted:
            raise InvalidImage(
                f"{path} is encrypted, and machines get no keys: decrypt it with qemu-img convert."
            )
        if image.backing is None:
            return
        path, format_ = _backing(image, stores, allowed)
    raise InvalidImage(
        f"{path} has a chain of more than {_LONGEST_CHAIN} backing files, or the chain is a loop:"
        " merge them with qemu-img convert."
    )


@dataclass(frozen=True, slots=True)
class DiskFile:
    """The file of a disk in libvirt's description of a machine."""

    path: Path
    format: str
    is_written: bool


def disk_files(description: ET.Element) -> Iterator[DiskFile]:
    """Yield the files of the disks in libvirt's description of a machine."""
    for disk in description.findall("./devices/disk"):
        source, driver = disk.find("source"), disk.find("driver")
        if source is not None and (file := source.get("file")):
            format_ = "raw" if driver is None else driver.get("type", "raw")
            yield DiskFile(Path(file), format_, disk.find("readonly") is None)


def _backing(
    image: qcow2.Image, stores: Sequence[Path], allowed: Collection[Path]
) -> tuple[Path, str]:
    """Return an image's backing file and its format, which QEMU would guess if it is not named."""
    name = image.backing or ""
    path = (image.path.parent / name).resolve()
    if _PROTOCOL.match(name) or not (
        path in allowed or any(path.is_relative_to(store) for store in stores)
    ):
        raise InvalidImage(
            f"{image.path} reads from {name}, which is not in the image store"
            f" ({', '.join(map(str, stores))}): import that image, and clone it there."
        )
    if not path.is_file():
        raise NotFound(
            f"{image.path} reads from {path}, which does not exist: restore that file, or name"
            " another with qemu-img rebase -u."
        )
    if image.backing_format not in {"qcow2", "raw"}:
        raise InvalidImage(
            f"{image.path} does not name the format of its backing file {path}: name it with"
            " qemu-img rebase -u -F FORMAT."
        )
    return path, image.backing_format


def _read(path: Path) -> qcow2.Image:
    try:
        status = path.stat()
    except OSError as error:
        raise os_error(f"Can't read {path}", error) from error
    return _read_cached(path, status.st_ino, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _read_cached(path: Path, *_: int) -> qcow2.Image:
    return qcow2.read(path)
