"""Merging of a disk's overlay into its backing file.

Before anything is written, everything is checked: no other image may read from either of the two,
and the overlay must contain no internal snapshots, which would be lost.
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
from vms.errors import InUse, InvalidState, NotFound, TimedOut, Unavailable
from vms.libvirt_errors import translate_errors
from vms.storage import overlays, qcow2, readers
from vms.storage.backing_file_policy import refuse_unsafe

if TYPE_CHECKING:
    from vms.domain.domain import Domain

_POLL_SECONDS = 0.05
COMMIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Layer:
    """A disk's overlay `top` and its backing file `below`."""

    target: str
    top: Path
    below: Path
    below_format: str


def commit(domain: Domain, target: str, timeout_seconds: float = COMMIT_SECONDS) -> Path:
    """Merge a disk's overlay into its backing file, which becomes the disk's image; return it.

    The machine may run meanwhile. Raises MachineError, also if another image reads from one of the
    two, or if the overlay contains internal snapshots. (virDomainBlockCommit)
    """
    top = images(domain).get(target)
    if top is None:
        raise NotFound(f"{domain.name} has no disk {target} whose image is a file.")
    layer = layer_of(domain, target, top)
    refuse_merge(domain, layer)
    merge(domain, layer, timeout_seconds)
    return layer.below


def layer_of(domain: Domain, target: str, top: Path) -> Layer:
    """Return the layer of an overlay. Raises MachineError for an image without a backing file."""
    domain.host.require_here(f"{top} of {domain.name} can't be merged or emptied")
    backing = overlays.backing(qcow2.read(top))
    if backing is None:
        raise InvalidState(f"{top} has no backing file into which it could be merged.")
    refuse_unsafe(top, "qcow2", domain.image_directories, frozen_images_of(domain))
    return Layer(target, top, *backing)


def refuse_merge(domain: Domain, layer: Layer) -> None:
    """Raise MachineError if a merge would lose data, or change an image that others read from."""
    refuse_saved(domain)
    refuse_loss(domain, layer)
    readers.refuse_read(layer.below, images_of_all(domain), besides=(layer.top,))


def refuse_loss(domain: Domain, layer: Layer) -> None:
    """Raise MachineError if snapshots or other images would be lost with the overlay."""
    if snapshots := qcow2.read(layer.top).snapshots:
        raise InUse(
            f"{layer.top} holds internal snapshots ({', '.join(snapshots)}) of {domain.name}:"
            " delete them first."
        )
    readers.refuse_read(layer.top, images_of_all(domain))


def refuse_saved(domain: Domain) -> None:
    """Raise MachineError if the machine has saved memory, which depends on its disks."""
    if domain.is_saved:
        raise InvalidState(
            f"{domain.name} has saved memory, which fits only its disks as they are: start the"
            " machine first."
        )


def merge(domain: Domain, layer: Layer, timeout_seconds: float = COMMIT_SECONDS) -> None:
    """Merge a layer that was checked. Raises MachineError."""
    if domain.is_running:
        _merge_live(domain, layer, timeout_seconds)
    else:
        overlays.commit(layer.top)
        _use_backing_file(domain, layer)


def _merge_live(domain: Domain, layer: Layer, timeout_seconds: float) -> None:
    """Merge while the machine runs.

    The block job is ended in every case, since a disk has at most one. libvirt cancels a job that
    can't be completed.
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
        raise Unavailable(
            f"{target} of {domain.name} was merged, but still uses {layer.top}: see libvirt's log."
        )


def _await_ready(domain: Domain, layer: Layer, timeout_seconds: float) -> None:
    """Wait until libvirt reports that the job can be completed; its progress does not show it."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        mirror = _disk(domain.xml(), layer.target).find("mirror")
        if mirror is None:
            raise Unavailable(
                f"The merge of {layer.target} of {domain.name} ended before it was complete: check"
                f" the free space in {layer.below.parent}."
            )
        if mirror.get("ready") == "yes":
            return
        if time.monotonic() > deadline:
            raise TimedOut(
                f"{layer.target} of {domain.name} was not merged within {timeout_seconds:.0f} s:"
                " repeat it while the guest writes less, or while the machine is shut off."
            )
        time.sleep(_POLL_SECONDS)


def _use_backing_file(domain: Domain, layer: Layer) -> None:
    """Define the machine with the backing file as the disk's image."""
    description = domain.xml(inactive=True)
    disk = _disk(description, layer.target)
    source, driver = disk.find("source"), disk.find("driver")
    assert source is not None
    source.set("file", str(layer.below))
    if driver is not None:
        driver.set("type", layer.below_format)
    for backing_store in disk.findall("backingStore"):
        disk.remove(backing_store)
    with translate_errors(f"Can't define {domain.name} with its merged disk {layer.target}"):
        domain.handle.connect().defineXML(printed(description))


def _disk(description: ET.Element, target: str) -> ET.Element:
    for disk in description.findall("./devices/disk"):
        element = disk.find("target")
        if element is not None and element.get("dev") == target:
            return disk
    raise NotFound(f"{description.findtext('name')} has no disk {target} any more.")
