"""Copies of machines that are shut off, with their own disks, names, addresses and NVRAM.

A copy is independent: its disks read from the image store at most. What the original's disks read
from other images, as with external snapshots, is written into the copies.
"""

from __future__ import annotations

import functools
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vms import paths
from vms.boot import cloudinit
from vms.description import identity, names
from vms.description.xml import printed
from vms.errors import AlreadyExists, InvalidDescription, InvalidState
from vms.storage import disks, machine_folders, overlays, qcow2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vms.connection.connection import Connection
    from vms.domain.domain import Domain

# libvirt generates these for the copy.
_GENERATED = ("uuid", "metadata")


def clone(connection: Connection, domain: Domain, name: str) -> Domain:
    """Copy a machine and its disks, and define the copy.

    Raises MachineError, also for a machine that runs or is saved, and then no copy is left.
    """
    names.refuse(name)
    domain.host.require_here(f"{domain.name} can't be cloned")
    if name in {each.name for each in connection.domains()}:
        raise AlreadyExists(f"There is a machine {name} already: choose another name.")
    if domain.is_running or domain.is_saved:
        raise InvalidState(
            f"{domain.name} must be shut off to be cloned, since its disks are in use: shut it down"
            " first, or start it if its memory is saved."
        )
    description = domain.xml(inactive=True)
    for tag in _GENERATED:
        for element in description.findall(tag):
            description.remove(element)
    name_element = description.find("name")
    assert name_element is not None
    name_element.text = name
    with ExitStack() as stack, ExitStack() as undo:
        folder = functools.cache(
            lambda: stack.enter_context(machine_folders.new(name, connection.uri))
        )
        for disk in description.findall("./devices/disk"):
            _copy_disk(disk, domain, name, folder, undo)
        _copy_nvram(description, name, undo)
        for card in description.findall("./devices/interface"):
            for mac in card.findall("mac"):
                card.remove(mac)
        _rename_sockets(description, name)
        _renew_identity(description, name)
        copy = connection.define_xml(printed(description))
        undo.pop_all()
    return copy


def _copy_disk(
    disk: ET.Element, domain: Domain, name: str, new_folder: Callable[[], Path], undo: ExitStack
) -> None:
    """Copy a disk and put the copy's path into its description, unless both machines share it.

    The copy goes into the new machine's directory if the disk lies in a machine's directory, else
    beside the disk.
    """
    source, driver = disk.find("source"), disk.find("driver")
    if source is None or _is_shared(disk, source):
        return
    if "file" not in source.attrib:
        raise InvalidDescription(
            f"{domain.name} can't be cloned: one of its disks is not a file, and only files are"
            " copied."
        )
    path = Path(source.attrib["file"])
    is_qcow2 = driver is not None and driver.get("type") == "qcow2"
    folder = new_folder() if _is_in_machine_folder(path) else path.parent
    copy = folder / _name_of_copy(path, domain.name, name, is_qcow2=is_qcow2)
    if copy.exists():
        raise AlreadyExists(f"{copy} exists already: remove it, or choose another name.")
    undo.callback(copy.unlink, missing_ok=True)
    if disk.find("readonly") is not None:
        cloudinit.copy_seed(path, copy, name)
    else:
        disks.copy(path, copy)
    if is_qcow2:
        _make_independent(path, copy, domain.image_directories)
    source.set("file", str(copy))


def _is_shared(disk: ET.Element, source: ET.Element) -> bool:
    """Return True for a read-only disk other than a seed, which both machines may use."""
    return disk.find("readonly") is not None and not cloudinit.is_seed(Path(source.get("file", "")))


def _renew_identity(description: ET.Element, name: str) -> None:
    """Put the copy's host name and machine ID into its kernel command line."""
    for line in description.findall("./os/cmdline"):
        line.text = identity.renewed(line.text or "", name)


def _is_in_machine_folder(path: Path) -> bool:
    return path.parent.parent.resolve() == paths.machines().resolve()


def _name_of_copy(path: Path, original: str, name: str, *, is_qcow2: bool) -> str:
    """Return the file name of a disk's copy, which contains the copy's name."""
    if _is_in_machine_folder(path):
        stem = path.stem
    else:
        stem = name if path.stem == original else f"{name}-{path.stem}"
    return f"{stem}.qcow2" if is_qcow2 else f"{stem}{path.suffix}"


def _make_independent(image: Path, copy: Path, directories: Sequence[Path]) -> None:
    """Delete a copy's internal snapshots, and let it read from the image store alone."""
    for snapshot in qcow2.read(copy).snapshots:
        disks.delete_snapshot(copy, snapshot)
    backing = overlays.backing(qcow2.read(image))
    if backing is None:
        return
    stores = [directory.resolve() for directory in directories]
    # The original may name its backing file relative to its own directory.
    disks.set_backing_file(copy, backing)
    base = backing
    while not any(base[0].resolve().is_relative_to(store) for store in stores):
        following = overlays.backing(qcow2.read(base[0])) if base[1] == "qcow2" else None
        if following is None:
            disks.rebase(copy, None)
            return
        base = following
    if base != backing:
        disks.rebase(copy, base)


def _copy_nvram(description: ET.Element, name: str, undo: ExitStack) -> None:
    """Copy the firmware's variables, which a machine that was never started does not have yet."""
    nvram = description.find("./os/nvram")
    if nvram is None or not nvram.text:
        return
    path = Path(nvram.text)
    copy = path.with_name(f"{name}.nvram")
    if copy.exists():
        raise AlreadyExists(f"{copy} exists already: remove it, or choose another name.")
    if path.exists():
        undo.callback(copy.unlink, missing_ok=True)
        disks.copy(path, copy)
    nvram.text = str(copy)


def _rename_sockets(description: ET.Element, name: str) -> None:
    """Name the sockets of the ports for the copy; libvirt chooses those without a path."""
    ports = (*description.findall("./devices/serial"), *description.findall("./devices/console"))
    for number, port in enumerate((*ports, *description.findall("./devices/channel"))):
        source = port.find("source")
        if source is not None and (path := source.get("path")):
            source.set("path", str(Path(path).with_name(f"{name}.{number}")))
