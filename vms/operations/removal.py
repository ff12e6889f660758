"""Removal of a machine together with its storage, unless another machine or image uses it.

Everything is checked before anything is removed, so that a refusal changes nothing.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vms.description.xml import printed
from vms.domain import images
from vms.errors import InUse, InvalidState
from vms.storage import machine_folders, readers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree import ElementTree as ET

    from vms.connection.connection import Connection
    from vms.domain.domain import Domain


def undefine_with_storage(connection: Connection, domain: Domain) -> list[Path]:
    """Undefine a machine and remove its storage; return the files that were removed.

    The storage consists of the disks that the machine writes to, the images of its snapshots, and
    its directory in the state. Media and read-only disks elsewhere stay. Raises MachineError, and
    then nothing has changed.
    """
    connection.host.require_here(f"The storage of {domain.name} can't be removed")
    if domain.is_running:
        raise InvalidState(f"{domain.name} is running: shut it down first.")
    disks = list(_disks(domain))
    folders = machine_folders.of(domain.name, printed(domain.xml(inactive=True)), disks)
    files = sorted({path.resolve() for path in (*disks, *_files_in(folders))})
    others = _of_others(connection, domain)
    for path in files:
        _refuse_used(path, files, others)
    domain.undefine()
    for path in files:
        with suppress(OSError):
            path.unlink()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return files


def _disks(domain: Domain) -> Iterator[Path]:
    """Yield the images that the machine writes to, and the images of its snapshots."""
    description = domain.xml(inactive=True)
    for disk in description.findall("./devices/disk"):
        source = disk.find("source")
        if source is None or not _is_writable(disk):
            continue
        if not (file := source.get("file")):
            raise InvalidState(
                f"{domain.name} has a disk that is not a file and can't be removed: undefine the"
                " machine without --remove-all-storage."
            )
        yield Path(file)
    yield from images.frozen_images_of(domain)


def _files_in(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in folder.iterdir() if path.is_file() and not path.is_symlink())


def _is_writable(disk: ET.Element) -> bool:
    """Return False for a medium, and for a read-only or shared disk."""
    return disk.get("device", "disk") == "disk" and not any(
        disk.find(tag) is not None for tag in ("readonly", "shareable")
    )


def _of_others(connection: Connection, domain: Domain) -> list[tuple[str, Path]]:
    """Return names and images of all other machines of the libvirt, and of their snapshots."""
    return [
        (other.name, path)
        for other in connection.domains()
        if other.name != domain.name
        for path in images.images_of(other)
    ]


def _refuse_used(path: Path, files: list[Path], others: list[tuple[str, Path]]) -> None:
    """Raise InUse if a file is an image of the store, or another machine or image uses it."""
    if not path.exists():
        return
    if readers.is_golden(path):
        raise InUse(
            f"{path} belongs to the image store: remove the image with tonnage vm image remove."
        )
    for name, file in others:
        if readers.is_same(file, path):
            raise InUse(f"{name} uses {path} as well: undefine {name} first.")
    for reader in readers.find(path, [file for _, file in others], besides=files):
        raise InUse(f"{reader} reads from {path}: remove {reader} first.")
    if readers.is_open(path):
        raise InUse(f"A running machine has {path} open: stop the machine first.")
