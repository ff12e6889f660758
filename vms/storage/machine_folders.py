"""The folders of machines that were created: one each, with its disk, its seed and what it boots.

A folder bears its machine's name, with a number where an undefined or renamed machine's disks still
lie in the one of that name. While it is filled its maker holds it, and it has a note of the libvirt
that is to know the machine: what a killed maker left is removed once that libvirt doesn't know it.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

import libvirt

from vms import paths
from vms.errors import MachineError
from vms.hosts import is_embedded
from vms.storage import locks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NOTE = ".creating"


@contextmanager
def new(name: str, uri: str, *, stays: bool = True) -> Iterator[Path]:
    """Make a folder for a machine that the libvirt at `uri` is to know. Raises MachineError.

    It stays if the block ends well and has put something there, unless it is only to be looked at.
    """
    clean()
    with ExitStack() as undo:
        try:
            folder = _made(name)
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            if (held := locks.try_lock(folder)) is not None:
                undo.callback(os.close, held)
            (folder / _NOTE).write_text(uri, encoding="utf-8")
        except OSError as error:
            raise MachineError(
                f"Can't make a folder for {name} in {paths.machines()}: {error.strerror}."
            ) from error
        yield folder
        (folder / _NOTE).unlink(missing_ok=True)
        if stays and any(folder.iterdir()):
            undo.pop_all()
            if held is not None:
                os.close(held)


def of(name: str, described: str, disks: Iterable[Path]) -> list[Path]:
    """The folders of a machine: where its disks lie, and that of its name if it names files there.

    Another machine's folder, of which a clone may have the kernel, is none of them.
    """
    holds = {disk.resolve().parent for disk in disks}
    return [
        folder
        for folder in _all()
        if folder.resolve() in holds or (folder.name == name and f"{folder}/" in described)
    ]


def clean() -> list[str]:
    """Remove the folders of creations that were killed; what was done, a line each."""
    done = []
    for folder in _all():
        try:
            uri = (folder / _NOTE).read_text(encoding="utf-8")
        except OSError:
            continue  # it was made whole
        held = locks.try_lock(folder)
        if held is None:
            continue
        try:
            if not _is_known(folder, uri):
                shutil.rmtree(folder, ignore_errors=True)
                done.append(f"removed {folder}")
        finally:
            os.close(held)
    return done


def _made(name: str) -> Path:
    """The first of name, name.2, name.3 … that is free."""
    for number in count(1):
        folder = paths.machines() / (name if number == 1 else f"{name}.{number}")
        with suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError("unreachable")


def _all() -> list[Path]:
    found = paths.machines().glob("*")
    return sorted(path for path in found if path.is_dir() and not path.is_symlink())


def _is_known(folder: Path, uri: str) -> bool:
    """Return True if that libvirt has a machine with files in the folder, or can't be asked."""
    if is_embedded(uri):  # it is part of the process that had it
        return False
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError:
        return True
    try:
        descriptions = [each.XMLDesc() for each in connection.listAllDomains()]
    except libvirt.libvirtError:
        return True
    finally:
        connection.close()
    return any(f"{folder}/" in described for described in descriptions)
