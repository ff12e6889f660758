"""Copies of a machine that is off, with disks, names and addresses of their own."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from vms import cloudinit, identity
from vms.elements import printed
from vms.errors import MachineError

if TYPE_CHECKING:
    from vms.connection import Connection
    from vms.domain import Domain

# libvirt gives a machine new ones of these.
_ITS_OWN = ("uuid", "metadata")


def clone(connection: Connection, domain: Domain, name: str) -> Domain:
    """Define a copy: each disk's image is copied beside it, what lies below it is shared.

    Raises MachineError, as for a machine that runs, and then no copy is left.
    """
    if domain.is_running or domain.is_saved:
        raise MachineError(f"{domain.name} must be shut off to be cloned: its disks are in use.")
    described = domain.xml(inactive=True)
    for tag in _ITS_OWN:
        for found in described.findall(tag):
            described.remove(found)
    named = described.find("name")
    assert named is not None
    named.text = name
    with ExitStack() as undo:
        for disk in described.findall("./devices/disk"):
            _copy_disk(disk, domain.name, name, undo)
        for card in described.findall("./devices/interface"):
            for mac in card.findall("mac"):
                card.remove(mac)
        _listen_elsewhere(described, name)
        _renew_command_line(described, name)
        made = connection.define_xml(printed(described))
        undo.pop_all()
    return made


def _copy_disk(disk: ET.Element, was: str, name: str, undo: ExitStack) -> None:
    source = disk.find("source")
    if source is None or _is_shared(disk, source):
        return
    if "file" not in source.attrib:
        raise MachineError(f"{was} has a disk that is no file: it can't be copied.")
    path = Path(source.attrib["file"])
    copy = path.with_name(_renamed(path, was, name))
    if copy.exists():
        raise MachineError(f"{copy} is there already: remove it, or choose another name.")
    undo.callback(copy.unlink, missing_ok=True)
    if disk.find("readonly") is not None:
        cloudinit.copy_seed(path, copy, name)
    else:
        _copy(path, copy)
    source.set("file", str(copy))


def _is_shared(disk: ET.Element, source: ET.Element) -> bool:
    """Return True for a read-only disk that the copy may have as well, which no seed is."""
    return disk.find("readonly") is not None and not cloudinit.is_seed(Path(source.get("file", "")))


def _renew_command_line(described: ET.Element, name: str) -> None:
    for line in described.findall("./os/cmdline"):
        line.text = identity.renewed(line.text or "", name)


def _renamed(path: Path, was: str, name: str) -> str:
    """Named for the copy as the disk was for the machine, else with its name in front."""
    return path.name.replace(was, name, 1) if was in path.name else f"{name}-{path.name}"


def _listen_elsewhere(described: ET.Element, name: str) -> None:
    """Sockets are the copy's own; libvirt chooses those that were not chosen here."""
    ports = (*described.findall("./devices/serial"), *described.findall("./devices/console"))
    for number, port in enumerate((*ports, *described.findall("./devices/channel"))):
        source = port.find("source")
        if source is not None and (path := source.get("path")):
            source.set("path", str(Path(path).with_name(f"{name}.{number}")))


def _copy(source: Path, destination: Path) -> None:
    """Sparse, and sharing blocks where the file system can. (cp(1))"""
    argv = ["cp", "--reflink=auto", "--sparse=always", str(source), str(destination)]
    done = subprocess.run(argv, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise MachineError(f"{source} can't be copied: {said}.")
