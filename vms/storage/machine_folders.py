"""Directories of created machines, with a machine's disk, its seed and its boot files each.

A directory has its machine's name, with a number added if the name is taken by the disks of an
undefined or renamed machine. While it is being filled, its creator holds a lock on it, and a note
in it names the libvirt that will know the machine. What a killed creator left is removed if that
libvirt does not know the machine.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

import libvirt

from vms import paths
from vms.errors import os_error
from vms.hosts import is_embedded
from vms.storage import locks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NOTE = ".creating"


@contextmanager
def new(name: str, uri: str, *, stays: bool = True) -> Iterator[Path]:
    """Yield a new directory for a machine of the libvirt at `uri`. Raises MachineError.

    The directory is kept if the block succeeds and put something into it, unless `stays` is False.
    """
    clean()
    with ExitStack() as undo:
        try:
            folder = _create(name)
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            if (lock := locks.try_lock(folder)) is not None:
                undo.callback(os.close, lock)
            (folder / _NOTE).write_text(uri, encoding="utf-8")
        except OSError as error:
            raise os_error(
                f"Can't create a directory for machine {name} in {paths.machines()}", error
            ) from error
        yield folder
        (folder / _NOTE).unlink(missing_ok=True)
        if stays and any(folder.iterdir()):
            undo.pop_all()
            if lock is not None:
                os.close(lock)


def of(name: str, description: str, disks: Iterable[Path]) -> list[Path]:
    """Return a machine's directories: those of its disks, and of its name if its XML refers to it.

    The directory of another machine, whose kernel a clone may boot, is not among them.
    """
    of_disks = {disk.resolve().parent for disk in disks}
    return [
        folder
        for folder in _all()
        if folder.resolve() in of_disks or (folder.name == name and f"{folder}/" in description)
    ]


def clean() -> list[str]:
    """Remove the directories of creations that were killed; return a line for each."""
    removed = []
    for folder in _all():
        try:
            uri = (folder / _NOTE).read_text(encoding="utf-8")
        except OSError:
            continue  # the creation was completed
        lock = locks.try_lock(folder)
        if lock is None:
            continue
        try:
            if not _is_known(folder, uri):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(f"removed {folder}")
        finally:
            os.close(lock)
    return removed


def _create(name: str) -> Path:
    """Create the first directory of NAME, NAME.2, NAME.3 … that does not exist."""
    for number in count(1):
        folder = paths.machines() / (name if number == 1 else f"{name}.{number}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError("unreachable")


def _all() -> list[Path]:
    folders = paths.machines().glob("*")
    return sorted(path for path in folders if path.is_dir() and not path.is_symlink())


def _is_known(folder: Path, uri: str) -> bool:
    """Return True if a machine of that libvirt has files in the directory, or if it can't tell."""
    if is_embedded(uri):  # that libvirt ended with the process that embedded it
        return False
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError:
        return True
    try:
        descriptions = [domain.XMLDesc() for domain in connection.listAllDomains()]
    except libvirt.libvirtError:
        return True
    finally:
        connection.close()
    return any(f"{folder}/" in description for description in descriptions)
