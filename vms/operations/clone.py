"""Copies of a machine that is off, with disks, names, addresses and variables of their own.

A copy is independent: what its disks read from images that are not the store's, as below external
snapshots, is written into the copies.
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
from vms.errors import MachineError
from vms.storage import disks, machine_folders, overlays, qcow2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vms.connection.connection import Connection
    from vms.domain.domain import Domain

# libvirt gives a machine new ones of these.
_ITS_OWN = ("uuid", "metadata")


def clone(connection: Connection, domain: Domain, name: str) -> Domain:
    """Define a copy: each disk's image is copied; of what lies below, only the store's is shared.

    Raises MachineError, as for a machine that runs, and then no copy is left.
    """
    names.refuse(name)
    domain.host.require_here(f"{domain.name} can't be cloned")
    if name in {each.name for each in connection.domains()}:
        raise MachineError(f"A machine {name} is there already: choose another name.")
    if domain.is_running or domain.is_saved:
        raise MachineError(f"{domain.name} must be shut off to be cloned: its disks are in use.")
    described = domain.xml(inactive=True)
    for tag in _ITS_OWN:
        for found in described.findall(tag):
            described.remove(found)
    title = described.find("name")
    assert title is not None
    title.text = name
    with ExitStack() as kept, ExitStack() as undo:
        own = functools.cache(lambda: kept.enter_context(machine_folders.new(name, connection.uri)))
        for disk in described.findall("./devices/disk"):
            _copy_disk(disk, domain, name, own, undo)
        _copy_variables(described, name, undo)
        for card in described.findall("./devices/interface"):
            for mac in card.findall("mac"):
                card.remove(mac)
        _listen_elsewhere(described, name)
        _renew_command_line(described, name)
        made = connection.define_xml(printed(described))
        undo.pop_all()
    return made


def _copy_disk(
    disk: ET.Element, domain: Domain, name: str, own: Callable[[], Path], undo: ExitStack
) -> None:
    """Copy a disk and name the copy in its description, unless the two share it.

    It lies in the copy's own folder where machines have one each, else in the folder of the disk.
    """
    source, driver = disk.find("source"), disk.find("driver")
    if source is None or _is_shared(disk, source):
        return
    if "file" not in source.attrib:
        raise MachineError(f"{domain.name} has a disk that is no file: it can't be copied.")
    path = Path(source.attrib["file"])
    is_qcow2 = driver is not None and driver.get("type") == "qcow2"
    folder = own() if _has_own_folder(path) else path.parent
    copy = folder / _renamed(path, domain.name, name, is_qcow2=is_qcow2)
    if copy.exists():
        raise MachineError(f"{copy} is there already: remove it, or choose another name.")
    undo.callback(copy.unlink, missing_ok=True)
    if disk.find("readonly") is not None:
        cloudinit.copy_seed(path, copy, name)
    else:
        disks.copy(path, copy)
    if is_qcow2:
        _make_independent(path, copy, domain.image_directories)
    source.set("file", str(copy))


def _is_shared(disk: ET.Element, source: ET.Element) -> bool:
    """Return True for a read-only disk that the copy may have as well, which no seed is."""
    return disk.find("readonly") is not None and not cloudinit.is_seed(Path(source.get("file", "")))


def _renew_command_line(described: ET.Element, name: str) -> None:
    for line in described.findall("./os/cmdline"):
        line.text = identity.renewed(line.text or "", name)


def _has_own_folder(path: Path) -> bool:
    return path.parent.parent.resolve() == paths.machines().resolve()


def _renamed(path: Path, was: str, name: str, *, is_qcow2: bool) -> str:
    """Named for the copy as the disk was for the machine, else with its name in front."""
    if _has_own_folder(path):
        stem = path.stem
    else:
        stem = name if path.stem == was else f"{name}-{path.stem}"
    return f"{stem}.qcow2" if is_qcow2 else f"{stem}{path.suffix}"


def _make_independent(image: Path, copy: Path, directories: Sequence[Path]) -> None:
    """Have a copy read from the store alone, and hold no snapshots, which are the machine's."""
    for snapshot in qcow2.read(copy).snapshots:
        disks.delete_snapshot(copy, snapshot)
    below = overlays.backing(qcow2.read(image))
    if below is None:
        return
    stores = [directory.resolve() for directory in directories]
    disks.set_backing_file(copy, below)  # by its whole path: the copy may lie elsewhere
    onto = below
    while not any(onto[0].resolve().is_relative_to(store) for store in stores):
        following = overlays.backing(qcow2.read(onto[0])) if onto[1] == "qcow2" else None
        if following is None:
            disks.rebase(copy, None)
            return
        onto = following
    if onto != below:
        disks.rebase(copy, onto)


def _copy_variables(described: ET.Element, name: str, undo: ExitStack) -> None:
    """The firmware's variables: one that was never started has none yet."""
    kept = described.find("./os/nvram")
    if kept is None or not kept.text:
        return
    path = Path(kept.text)
    copy = path.with_name(f"{name}.nvram")
    if copy.exists():
        raise MachineError(f"{copy} is there already: remove it, or choose another name.")
    if path.exists():
        undo.callback(copy.unlink, missing_ok=True)
        disks.copy(path, copy)
    kept.text = str(copy)


def _listen_elsewhere(described: ET.Element, name: str) -> None:
    """Sockets are the copy's own; libvirt chooses those that were not chosen here."""
    ports = (*described.findall("./devices/serial"), *described.findall("./devices/console"))
    for number, port in enumerate((*ports, *described.findall("./devices/channel"))):
        source = port.find("source")
        if source is not None and (path := source.get("path")):
            source.set("path", str(Path(path).with_name(f"{name}.{number}")))
