"""Which files a disk image may lead QEMU to: only the image store is followed."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from vms import qcow2
from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PROTOCOL = re.compile(r"[A-Za-z0-9+.-]+:")
_LONGEST_CHAIN = 32


def refuse_unsafe(path: Path, format_: str, directories: Sequence[Path]) -> None:
    """Refuse an image that is broken, or that reads from outside of the directories.

    A raw image names no other file. Raises MachineError.
    """
    stores = [directory.resolve() for directory in directories]
    for _ in range(_LONGEST_CHAIN):
        if format_ != "qcow2":
            return
        image = _known(path)
        if image.data_file is not None:
            raise MachineError(
                f"{path} keeps its data in another file ({image.data_file}): merge them with"
                " qemu-img convert."
            )
        if image.backing is None:
            return
        path, format_ = _backing(image, stores)
    raise MachineError(f"{path} has a longer chain of backing files than any image should.")


def _backing(image: qcow2.Image, stores: Sequence[Path]) -> tuple[Path, str]:
    """The backing file and its format. QEMU would guess a format that is not named."""
    name = image.backing or ""
    path = (image.path.parent / name).resolve()
    if _PROTOCOL.match(name) or not any(path.is_relative_to(store) for store in stores):
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
