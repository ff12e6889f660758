"""Readers of an image: running machines that have it open, and images whose backing file it is.

An image with readers must be neither changed nor removed, since the readers would see the change.
Overlays are searched for in the directories of machines, beside the image, and among the disks that
were noted in the store when a machine got a disk from elsewhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from vms import paths
from vms.errors import InUse, MachineError, os_error
from vms.storage import overlays, qcow2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_LONGEST_CHAIN = 32
_RECORD, _NOTES = "image.json", ".readers"
# QEMU locks bytes from 100 on in a file that it has open. (QEMU, block/file-posix.c; fcntl(2))
_FIRST_LOCKED, _LOCKED = 100, 200
_FLOCK = struct.Struct("hhqqi4x")


def is_golden(path: Path) -> bool:
    """Return True for the disk of an image in a store, which is never written to."""
    return (path.resolve().parent / _RECORD).is_file()


def is_open(path: Path) -> bool:
    """Return True if a QEMU of this host has the image open. Raises MachineError."""
    request = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _FIRST_LOCKED, _LOCKED, 0)
    try:
        with path.open("rb") as file:
            reply = fcntl.fcntl(file, fcntl.F_OFD_GETLK, request)
    except OSError as error:
        raise os_error(f"Can't check which machines use {path}", error) from error
    return int(_FLOCK.unpack(reply)[0]) != fcntl.F_UNLCK


def is_same(first: Path, second: Path) -> bool:
    """Return True for two paths of the same file."""
    identity = _identity(first)
    return identity is not None and identity == _identity(second)


def find(image: Path, more: Iterable[Path] = (), *, besides: Iterable[Path] = ()) -> list[Path]:
    """Return the images that read from this image directly or indirectly, without `besides`.

    `more` are further images to examine, such as the disks of the machines that libvirt knows.
    """
    target = _identity(image)
    examined = {target, *map(_identity, besides)}
    overlays_found = []
    for path in (*more, *_beside(image), *_files_of_machines(), *_noted()):
        identity = _identity(path)
        if identity is None or identity in examined:
            continue
        examined.add(identity)
        if target in {_identity(base) for base in _chain(path)}:
            overlays_found.append(path)
    return sorted(overlays_found)


def refuse_read(image: Path, more: Iterable[Path] = (), *, besides: Iterable[Path] = ()) -> None:
    """Raise InUse if the image is golden or other images read from it."""
    if is_golden(image):
        raise InUse(f"{image} belongs to the image store, whose images are never written to.")
    for reader in find(image, more, besides=besides):
        raise InUse(
            f"{reader} reads from {image}, which would change: remove {reader} first, or make it"
            " independent with qemu-img convert."
        )


def note(disk: Path) -> None:
    """Note in the store that a disk reads from one of its images, wherever the disk is."""
    store = paths.images().resolve()
    if not any(base.is_relative_to(store) for base in _chain(disk)):
        return
    name = hashlib.sha256(os.fsencode(disk.absolute())).hexdigest()[:32]
    with suppress(OSError):  # the store belongs to another user, or the disk is noted already
        (store / _NOTES).mkdir(exist_ok=True)
        (store / _NOTES / name).symlink_to(disk.absolute())


def _chain(path: Path) -> Iterator[Path]:
    """Yield an image's backing files, as far as they can be read."""
    for _ in range(_LONGEST_CHAIN):
        try:
            base = overlays.backing(qcow2.read(path, whole=False))
        except MachineError:  # the file is of another format, or missing
            return
        if base is None:
            return
        path = base[0].resolve()
        yield path


def _beside(image: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from (path for path in image.resolve().parent.iterdir() if path.is_file())


def _files_of_machines() -> Iterator[Path]:
    """Yield the files of created machines and of machines that run in the foreground."""
    for directory in (paths.machines(), paths.roots()):
        for parent, _, files in os.walk(directory):
            yield from (directory / parent / file for file in files)


def _noted() -> Iterator[Path]:
    """Yield the noted disks that exist; remove the notes of the others."""
    for link in sorted((paths.images() / _NOTES).glob("*")):
        if link.exists():
            yield link.resolve()
        else:
            with suppress(OSError):
                link.unlink()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a regular file; None for anything else."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None
