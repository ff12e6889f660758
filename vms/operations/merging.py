"""Merging a disk's image into the one below it.

All is looked at before anything is written: others must read neither of the two images, and the
upper one must hold no internal snapshots, which would go with it.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import libvirt

from vms.description.xml import printed
from vms.domain.images import frozen_images_of, images, images_of_all
from vms.errors import MachineError
from vms.libvirt_errors import translate_errors
from vms.storage import overlays, qcow2, readers
from vms.storage.backing_file_policy import refuse_unsafe

if TYPE_CHECKING:
    from vms.domain.domain import Domain

_POLL_SECONDS = 0.05
COMMIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Layer:
    """A disk's image and the one that it lies over."""

    target: str
    top: Path
    below: Path
    below_format: str


def commit(domain: Domain, target: str, timeout_seconds: float = COMMIT_SECONDS) -> Path:
    """Merge a disk's image into the one below it, which is then the disk's; returns that one.

    The machine may run meanwhile. Raises MachineError, also if others read one of the two, or if
    the upper one holds internal snapshots. (virDomainBlockCommit)
    """
    top = images(domain).get(target)
    if top is None:
        raise MachineError(f"{domain.name} has no disk {target} that is a file.")
    layer = layer_of(domain, target, top)
    refuse_merge(domain, layer)
    merge(domain, layer, timeout_seconds)
    return layer.below


def layer_of(domain: Domain, target: str, top: Path) -> Layer:
    """The image and what it lies over. Raises MachineError if that can't be read."""
    domain.host.require_here(f"{top} of {domain.name} can't be merged or emptied")
    found = overlays.backing(qcow2.read(top))
    if found is None:
        raise MachineError(f"{top} lies over no other image: there is nothing to merge it into.")
    refuse_unsafe(top, "qcow2", domain.image_directories, frozen_images_of(domain))
    return Layer(target, top, *found)


def refuse_merge(domain: Domain, layer: Layer) -> None:
    """Raise MachineError if a merge would lose something, or change what others read."""
    refuse_saved(domain)
    refuse_loss(domain, layer)
    readers.refuse_read(layer.below, images_of_all(domain), besides=(layer.top,))


def refuse_loss(domain: Domain, layer: Layer) -> None:
    """Raise MachineError if something would be lost with what an image holds."""
    if found := qcow2.read(layer.top).snapshots:
        raise MachineError(
            f"{layer.top} holds internal snapshots ({', '.join(found)}) of {domain.name}: delete"
            " those first."
        )
    readers.refuse_read(layer.top, images_of_all(domain))


def refuse_saved(domain: Domain) -> None:
    """Raise MachineError if the machine will go on from saved memory, which knows its disks."""
    if domain.is_saved:
        raise MachineError(
            f"{domain.name} has saved memory that knows its disks as they are: start it first."
        )


def merge(domain: Domain, layer: Layer, timeout_seconds: float = COMMIT_SECONDS) -> None:
    """Merge what was looked at. Raises MachineError."""
    if domain.is_running:
        _merge_live(domain, layer, timeout_seconds)
    else:
        overlays.commit(layer.top)
        _point(domain, layer)


def _merge_live(domain: Domain, layer: Layer, timeout_seconds: float) -> None:
    """The job is ended whatever happens: a disk with a job takes no other.

    libvirt calls it off if it can't be completed.
    """
    handle, target = domain.handle, layer.target
    flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | libvirt.VIR_DOMAIN_BLOCK_COMMIT_SHALLOW
    with translate_errors(f"{target} of {domain.name} can't be merged"):
        handle.blockCommit(target, None, None, 0, flags)
        try:
            _await_ready(domain, layer, timeout_seconds)
            handle.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
        except BaseException:
            with suppress(libvirt.libvirtError):
                handle.blockJobAbort(target, 0)
            raise
    if images(domain).get(target) != layer.below:
        raise MachineError(f"{target} of {domain.name} was merged, but still uses {layer.top}.")


def _await_ready(domain: Domain, layer: Layer, timeout_seconds: float) -> None:
    """Wait until libvirt says that the job can be completed; its figures don't tell that."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        mirror = _disk(domain.xml(), layer.target).find("mirror")
        if mirror is None:
            raise MachineError(
                f"The merge of {layer.target} of {domain.name} ended before it was complete: see"
                f" whether there is room for more in {layer.below.parent}."
            )
        if mirror.get("ready") == "yes":
            return
        if time.monotonic() > deadline:
            raise MachineError(
                f"{layer.target} of {domain.name} was not merged within {timeout_seconds:.0f} s: it"
                " writes faster than that."
            )
        time.sleep(_POLL_SECONDS)


def _point(domain: Domain, layer: Layer) -> None:
    """Define the machine with the lower image for the disk."""
    described = domain.xml(inactive=True)
    disk = _disk(described, layer.target)
    source, driver = disk.find("source"), disk.find("driver")
    assert source is not None
    source.set("file", str(layer.below))
    if driver is not None:
        driver.set("type", layer.below_format)
    for below in disk.findall("backingStore"):
        disk.remove(below)
    with translate_errors(f"{domain.name} can't be given its merged disk {layer.target}"):
        domain.handle.connect().defineXML(printed(described))


def _disk(described: ET.Element, target: str) -> ET.Element:
    for disk in described.findall("./devices/disk"):
        found = disk.find("target")
        if found is not None and found.get("dev") == target:
            return disk
    raise MachineError(f"{described.findtext('name')} has no disk {target} any more.")
