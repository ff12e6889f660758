"""Who reads an image: the running machines that hold it, and the images that lie over it.

What others read is neither changed nor removed, since they would see it change. Images that lie
over one are looked for where machines' disks are kept, beside the image itself, and among those
that were noted in the store when a machine was given one from elsewhere.
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
from vms.errors import MachineError
from vms.storage import overlays, qcow2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_LONGEST_CHAIN = 32
_RECORD, _NOTES = "image.json", ".readers"
# Of a file that QEMU has open it locks bytes from 100 on. (QEMU, block/file-posix.c; fcntl(2))
_FIRST_LOCKED, _LOCKED = 100, 200
_FLOCK = struct.Struct("hhqqi4x")


def is_golden(path: Path) -> bool:
    """Return True for the disk of a store's image, which is never written to."""
    return (path.resolve().parent / _RECORD).is_file()


def is_open(path: Path) -> bool:
    """Return True if a QEMU of this host has the image open. Raises MachineError."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, _FIRST_LOCKED, _LOCKED, 0)
    try:
        with path.open("rb") as file:
            told = fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked)
    except OSError as error:
        raise MachineError(f"Can't see who uses {path}: {error.strerror}.") from error
    return int(_FLOCK.unpack(told)[0]) != fcntl.F_UNLCK


def is_same(one: Path, other: Path) -> bool:
    """Return True for two paths of one file."""
    identity = _identity(one)
    return identity is not None and identity == _identity(other)


def of(image: Path, more: Iterable[Path] = (), *, besides: Iterable[Path] = ()) -> list[Path]:
    """The images that lie over this one, near or far, without those of `besides`.

    `more` are images to look at that a machine is known to have.
    """
    wanted = _identity(image)
    known = {wanted, *map(_identity, besides)}
    found = []
    for path in (*more, *_beside(image), *_kept(), *_noted()):
        identity = _identity(path)
        if identity is None or identity in known:
            continue
        known.add(identity)
        if wanted in {_identity(below) for below in _below(path)}:
            found.append(path)
    return sorted(found)


def refuse_read(image: Path, more: Iterable[Path] = (), *, besides: Iterable[Path] = ()) -> None:
    """Raise MachineError if the image is golden or others lie over it."""
    if is_golden(image):
        raise MachineError(f"{image} is the store's: it is never written to.")
    for reader in of(image, more, besides=besides):
        raise MachineError(
            f"{reader} reads from {image}, which would change: remove it first, or make it"
            " independent (qemu-img convert)."
        )


def note(disk: Path) -> None:
    """Note in the store that a disk lies over one of its images, wherever the disk is."""
    store = paths.images().resolve()
    if not any(below.is_relative_to(store) for below in _below(disk)):
        return
    name = hashlib.sha256(os.fsencode(disk.absolute())).hexdigest()[:32]
    with suppress(OSError):  # a store of another user's, or noted already
        (store / _NOTES).mkdir(exist_ok=True)
        (store / _NOTES / name).symlink_to(disk.absolute())


def _below(path: Path) -> Iterator[Path]:
    """The files that an image reads from, as far as they can be followed."""
    for _ in range(_LONGEST_CHAIN):
        try:
            found = overlays.backing(qcow2.read(path, whole=False))
        except MachineError:  # a file of another format, or one that is gone
            return
        if found is None:
            return
        path = found[0].resolve()
        yield path


def _beside(image: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from (path for path in image.resolve().parent.iterdir() if path.is_file())


def _kept() -> Iterator[Path]:
    """The files of machines that were created, and of those that run in the foreground."""
    for directory in (paths.machines(), paths.roots()):
        for parent, _, files in os.walk(directory):
            yield from (directory / parent / file for file in files)


def _noted() -> Iterator[Path]:
    """Disks that lie elsewhere; the note of one that is gone is removed."""
    for link in sorted((paths.images() / _NOTES).glob("*")):
        if link.exists():
            yield link.resolve()
        else:
            with suppress(OSError):
                link.unlink()


def _identity(path: Path) -> tuple[int, int] | None:
    """A regular file itself, by whatever path it is named."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None
