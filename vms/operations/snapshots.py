"""Snapshots: internal ones are stored in the disk's image, external ones make it a backing file.

An internal snapshot of a running machine contains its memory as well. An external snapshot covers
the disks alone: to revert to it discards what was written since. libvirt before 9.10 can neither
revert to external snapshots nor delete them. Here block jobs and qemu-img do that, which works with
every libvirt. (libvirt, "Snapshot XML format"; qemu-img(1), commit)
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import libvirt

from vms.description import names
from vms.description.xml import element, printed
from vms.domain.images import frozen_images, images, images_of_all
from vms.errors import InUse, NotFound
from vms.libvirt_errors import translate_errors
from vms.operations.merging import (
    Layer,
    commit,
    layer_of,
    merge,
    refuse_loss,
    refuse_merge,
    refuse_saved,
)
from vms.storage import overlays, qcow2, readers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vms.domain.domain import Domain

__all__ = ["Snapshot", "commit", "create", "delete", "images", "of", "revert"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot; `created_seconds` is since the epoch; with memory the machine was running."""

    name: str
    parent: str
    description: str
    created_seconds: int
    is_external: bool
    has_memory: bool
    is_current: bool


def create(domain: Domain, name: str, *, description: str = "", external: bool = False) -> Snapshot:
    """Create a snapshot of all disks or, after a MachineError, of none."""
    names.refuse_snapshot(name)
    if external:
        refuse_saved(domain)
    description_xml = element(
        "domainsnapshot",
        element("name", text=name),
        element("description", text=description) if description else None,
    )
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    if external:
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    with translate_errors(f"Can't create the snapshot {name} of {domain.name}"):
        return _snapshot(domain.handle.snapshotCreateXML(printed(description_xml), flags))


def of(domain: Domain) -> list[Snapshot]:
    """Return all snapshots, oldest first. Raises MachineError."""
    with translate_errors(f"The snapshots of {domain.name} can't be listed"):
        snapshots = [_snapshot(handle) for handle in domain.handle.listAllSnapshots()]
    return sorted(snapshots, key=lambda snapshot: (snapshot.created_seconds, snapshot.name))


def revert(domain: Domain, name: str) -> None:
    """Revert to a snapshot; changes since are lost, other snapshots are kept.

    With memory in the snapshot, the machine continues as it was. Without, it boots again if it
    runs, and else stays off. Raises MachineError, also if reverting would destroy another snapshot
    or change an image that others read from; then the machine runs on.
    """
    handle = _find(domain, name)
    if _snapshot(handle).is_external:
        _revert_external(domain, name, handle)
    else:
        _revert_internal(domain, name, handle)


def delete(domain: Domain, name: str, *, metadata: bool = False) -> None:
    """Delete a snapshot; the overlays of an external one are merged into their backing files.

    With `metadata`, only libvirt's record is deleted and the images stay as they are. Raises
    MachineError, also for an external snapshot that others follow: delete the newest first.
    Overlays that were merged before the error stay merged, and a repetition continues there.
    """
    handle = _find(domain, name)
    if metadata:
        _forget(domain, name, handle)
    elif _snapshot(handle).is_external:
        _delete_external(domain, name, handle)
    else:
        _delete_internal(domain, name, handle)


def _delete_external(domain: Domain, name: str, handle: Any) -> None:
    used, frozen = images(domain), frozen_images(handle)
    layers = []
    for target, overlay in _overlays(domain, name, handle):
        if used.get(target) == frozen.get(target):
            continue  # an earlier deletion merged this disk and then failed
        layers.append(_layer(domain, name, target, overlay))
    for layer in layers:
        refuse_merge(domain, layer)
    for layer in layers:
        merge(domain, layer)
        layer.top.unlink(missing_ok=True)
    _forget(domain, name, handle)


def _delete_internal(domain: Domain, name: str, handle: Any) -> None:
    used = images(domain)
    for target, image in _images_with(domain, name, handle).items():
        if domain.is_running and used.get(target) != image:
            raise InUse(
                f"The snapshot {name} is stored in {image}, which the running {domain.name} reads"
                f" from: shut {domain.name} down first, or delete the external snapshots that came"
                " later."
            )
    with translate_errors(f"The snapshot {name} of {domain.name} can't be deleted"):
        handle.delete()


def _revert_internal(domain: Domain, name: str, handle: Any) -> None:
    used, all_images = images(domain), images_of_all(domain)
    for target, image in _images_with(domain, name, handle).items():
        if used.get(target) not in {None, image}:
            raise InUse(
                f"Reverting to {name} would destroy what came later: {used[target]} reads from"
                f" {image}. Delete the external snapshots of {domain.name} that came later first."
            )
        if domain.host.is_here:
            readers.refuse_read(image, all_images)
    domain.disconnect()
    _drop_saved(domain)
    with domain.renewed(), translate_errors(f"{domain.name} can't be reverted to {name}"):
        domain.handle.revertToSnapshot(handle)
    domain.reap()


def _revert_external(domain: Domain, name: str, handle: Any) -> None:
    """Replace the overlays by empty ones, which are prepared before the machine is stopped."""
    layers = [
        _layer(domain, name, target, overlay) for target, overlay in _overlays(domain, name, handle)
    ]
    for layer in layers:
        refuse_loss(domain, layer)
    with ExitStack() as undo:
        copies = []
        for layer in layers:
            copies.append(overlays.empty_copy(layer.top))
            undo.callback(copies[-1].unlink, missing_ok=True)
        domain.disconnect()
        _drop_saved(domain)
        with _stopped(domain, name):
            for layer, copy in zip(layers, copies, strict=True):
                copy.replace(layer.top)


@contextmanager
def _stopped(domain: Domain, name: str) -> Iterator[None]:
    """Stop the machine during the block, if it runs, and start it afterwards."""
    running, persistent = domain.is_running, bool(domain.handle.isPersistent())
    xml = printed(domain.xml())
    snapshots = [] if persistent else _snapshot_definitions(domain)
    if running:
        with translate_errors(f"{domain.name} can't be stopped to revert it to {name}"):
            domain.handle.destroy()
    try:
        yield
    finally:
        if running and persistent:
            domain.start()
        elif running:
            with domain.renewed(), translate_errors(f"{domain.name} can't be started again"):
                domain.handle = domain.handle.connect().createXML(xml)
                for snapshot, flags in snapshots:
                    domain.handle.snapshotCreateXML(snapshot, flags)
            domain.reap()


def _snapshot_definitions(domain: Domain) -> list[tuple[str, int]]:
    """Return XML and flags by which the snapshots of a transient machine are defined again.

    libvirt forgets them when the machine stops.
    """
    redefine = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
    with translate_errors(f"The snapshots of {domain.name} can't be listed"):
        handles = domain.handle.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)
        return [
            (
                handle.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE),
                redefine | (handle.isCurrent() and libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT),
            )
            for handle in handles
        ]


def _drop_saved(domain: Domain) -> None:
    """Delete saved memory, which fits only the disks as they were before the revert."""
    if domain.is_saved:
        with translate_errors(f"Can't delete the saved memory of {domain.name}"):
            domain.handle.managedSaveRemove()


def _overlays(domain: Domain, name: str, handle: Any) -> Iterator[tuple[str, Path]]:
    """Yield the targets of an external snapshot's disks, and the overlays that it created."""
    with translate_errors(f"Can't read the snapshot {name} of {domain.name}"):
        description = ET.fromstring(handle.getXMLDesc())
    for disk in description.findall("./disks/disk[@snapshot='external']"):
        source = disk.find("source")
        yield disk.get("name", ""), Path("" if source is None else source.get("file", ""))


def _layer(domain: Domain, name: str, target: str, overlay: Path) -> Layer:
    """Return the layer of an overlay. Raises MachineError if the disk has another image now."""
    if images(domain).get(target) != overlay:
        raise InUse(
            f"{domain.name} has later snapshots than {name}: delete the snapshots that came later"
            " first."
        )
    return layer_of(domain, target, overlay)


def _images_with(domain: Domain, name: str, handle: Any) -> dict[str, Path]:
    """Return the images that contain an internal snapshot, by the disk's target.

    Raises MachineError.
    """
    with translate_errors(f"Can't read the snapshot {name} of {domain.name}"):
        description = ET.fromstring(handle.getXMLDesc())
    images_by_target = {}
    frozen = frozen_images(handle)
    for disk in description.findall("./disks/disk[@snapshot='internal']"):
        target = disk.get("name", "")
        image = frozen.get(target)
        if image is None or (domain.host.is_here and not image.is_file()):
            continue  # libvirt says more about a missing image
        if domain.host.is_here and name not in qcow2.read(image).snapshots:
            raise NotFound(
                f"{image} contains no snapshot {name} of {domain.name} any more: delete it with"
                " --metadata."
            )
        images_by_target[target] = image
    return images_by_target


def _forget(domain: Domain, name: str, handle: Any) -> None:
    with translate_errors(f"Can't delete libvirt's record of the snapshot {name} of {domain.name}"):
        handle.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)


def _find(domain: Domain, name: str) -> Any:
    with translate_errors(f"{domain.name} has no snapshot {name}"):
        return domain.handle.snapshotLookupByName(name)


def _snapshot(handle: Any) -> Snapshot:
    description = ET.fromstring(handle.getXMLDesc())
    memory = description.find("memory")
    return Snapshot(
        name=description.findtext("name", ""),
        parent=description.findtext("./parent/name", ""),
        description=description.findtext("description", ""),
        created_seconds=int(description.findtext("creationTime", "0")),
        is_external=description.find("./disks/disk[@snapshot='external']") is not None,
        has_memory=memory is not None and memory.get("snapshot") != "no",
        is_current=bool(handle.isCurrent()),
    )
