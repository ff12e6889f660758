"""Removing a machine's storage with it: nothing that another machine or an image reads.

All is looked at before anything goes, so that a refusal leaves the machine as it was.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vms.description.xml import printed
from vms.domain import images
from vms.errors import MachineError
from vms.storage import machine_folders, readers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree import ElementTree as ET

    from vms.connection.connection import Connection
    from vms.domain.domain import Domain


def undefine_with_storage(connection: Connection, domain: Domain) -> list[Path]:
    """Undefine a machine and remove its disks; return the files that are gone.

    Its storage is what it writes to, what its snapshots froze, and its folder in the state; media
    and read-only disks that lie elsewhere stay. Raises MachineError, and then nothing has changed.
    """
    connection.host.require_here(f"The storage of {domain.name} can't be removed")
    if domain.is_running:
        raise MachineError(f"{domain.name} runs: shut it down first.")
    disks = list(_disks(domain))
    own = machine_folders.of(domain.name, printed(domain.xml(inactive=True)), disks)
    files = sorted({path.resolve() for path in (*disks, *_others_in(own))})
    others = _of_others(connection, domain)
    for path in files:
        _refuse_used(path, files, others)
    domain.undefine()
    for path in files:
        with suppress(OSError):
            path.unlink()
    for folder in own:
        shutil.rmtree(folder, ignore_errors=True)
    return files


def _disks(domain: Domain) -> Iterator[Path]:
    """What it writes to, and what its snapshots froze."""
    described = domain.xml(inactive=True)
    for disk in described.findall("./devices/disk"):
        source = disk.find("source")
        if source is None or not _is_its_own(disk):
            continue
        if not (file := source.get("file")):
            raise MachineError(
                f"{domain.name} has a disk that is no file, which can't be removed here: undefine"
                " it without its storage."
            )
        yield Path(file)
    yield from images.frozen_images_of(domain)


def _others_in(own: list[Path]) -> Iterator[Path]:
    """The files of its folders."""
    for folder in own:
        yield from (path for path in folder.iterdir() if path.is_file() and not path.is_symlink())


def _is_its_own(disk: ET.Element) -> bool:
    """Return False for a medium, and for what the machine only reads or has in common."""
    return disk.get("device", "disk") == "disk" and not any(
        disk.find(tag) is not None for tag in ("readonly", "shareable")
    )


def _of_others(connection: Connection, domain: Domain) -> list[tuple[str, Path]]:
    """Return the files of all other machines of that libvirt, and of their snapshots."""
    return [
        (other.name, path)
        for other in connection.domains()
        if other.name != domain.name
        for path in images.images_of(other)
    ]


def _refuse_used(path: Path, files: list[Path], others: list[tuple[str, Path]]) -> None:
    if not path.exists():
        return
    if readers.is_golden(path):
        raise MachineError(f"{path} is an image of the store's: tonnage vm image remove is for it.")
    for name, file in others:
        if readers.is_same(file, path):
            raise MachineError(f"{name} uses {path} as well: undefine that machine first.")
    for reader in readers.find(path, [file for _, file in others], besides=files):
        raise MachineError(f"{reader} reads from {path}: remove it first.")
    if readers.is_open(path):
        raise MachineError(f"A machine that runs has {path} open: stop it first.")
