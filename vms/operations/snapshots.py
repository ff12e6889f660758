"""Snapshots: internal ones lie in the disk's own image, external ones make it a backing file.

An internal snapshot of a machine that runs holds its memory as well. An external one is of disks
alone: to revert to it is to begin again from there, with what was written since thrown away.
libvirt before 9.10 neither reverts to external ones nor deletes them; what it leaves out is done
here by its block jobs and by qemu-img, and so works with every libvirt.
(libvirt, "Snapshot XML format"; qemu-img(1), commit)
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
from vms.errors import MachineError
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
    """One snapshot; `created_seconds` since the epoch; with memory it holds a machine that ran."""

    name: str
    parent: str
    description: str
    created_seconds: int
    is_external: bool
    has_memory: bool
    is_current: bool


def create(domain: Domain, name: str, *, description: str = "", external: bool = False) -> Snapshot:
    """Take a snapshot. Raises MachineError, and then none was taken."""
    names.refuse_snapshot(name)
    if external:
        refuse_saved(domain)
    wanted = element(
        "domainsnapshot",
        element("name", text=name),
        element("description", text=description) if description else None,
    )
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    if external:
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    with translate_errors(f"No snapshot {name} of {domain.name}"):
        return _described(domain.handle.snapshotCreateXML(printed(wanted), flags))


def of(domain: Domain) -> list[Snapshot]:
    """All snapshots, oldest first. Raises MachineError."""
    with translate_errors(f"The snapshots of {domain.name} can't be listed"):
        found = [_described(handle) for handle in domain.handle.listAllSnapshots()]
    return sorted(found, key=lambda snapshot: (snapshot.created_seconds, snapshot.name))


def revert(domain: Domain, name: str) -> None:
    """Go back to a snapshot; what came after it is lost, but for other snapshots.

    With memory the machine goes on as it was; without, it is off if it was, and boots anew if it
    runs. Raises MachineError, as for what would destroy another snapshot or change what others
    read; the machine then runs on.
    """
    handle = _find(domain, name)
    if _described(handle).is_external:
        _revert_external(domain, name, handle)
    else:
        _revert_internal(domain, name, handle)


def delete(domain: Domain, name: str, *, metadata: bool = False) -> None:
    """Forget a snapshot. What lies over an external one is merged into it.

    With `metadata` libvirt alone forgets it, and what the disks hold stays as it is.

    Raises MachineError, as for an external one that others follow: delete the newest first. What
    was merged before that stays merged, and deleting it once more goes on from there.
    """
    handle = _find(domain, name)
    if metadata:
        _forget(domain, name, handle)
    elif _described(handle).is_external:
        _delete_external(domain, name, handle)
    else:
        _delete_internal(domain, name, handle)


def _delete_external(domain: Domain, name: str, handle: Any) -> None:
    used, frozen = images(domain), frozen_images(handle)
    layers = []
    for target, overlay in _overlays(domain, name, handle):
        if used.get(target) == frozen.get(target):
            continue  # merged already, by a deletion that was cut short
        layers.append(_layer(domain, name, target, overlay))
    for layer in layers:
        refuse_merge(domain, layer)
    for layer in layers:
        merge(domain, layer)
        layer.top.unlink(missing_ok=True)
    _forget(domain, name, handle)


def _delete_internal(domain: Domain, name: str, handle: Any) -> None:
    held = _holding(domain, name, handle)
    used = images(domain)
    for target, image in held.items():
        if domain.is_running and used.get(target) != image:
            raise MachineError(
                f"{name} lies in {image}, from which {domain.name} reads while it runs: shut it"
                " down first, or delete the external snapshots that came later."
            )
    with translate_errors(f"The snapshot {name} of {domain.name} can't be deleted"):
        handle.delete()


def _revert_internal(domain: Domain, name: str, handle: Any) -> None:
    used, known = images(domain), images_of_all(domain)
    for target, image in _holding(domain, name, handle).items():
        if used.get(target) not in {None, image}:
            raise MachineError(
                f"To go back to {name} would destroy what came later: {used[target]} lies over"
                f" {image}. Delete the external snapshots of {domain.name} that came later first."
            )
        if domain.host.is_here:
            readers.refuse_read(image, known)
    domain.disconnect()
    _drop_saved(domain)
    with domain.renewed(), translate_errors(f"{domain.name} can't go back to {name}"):
        domain.handle.revertToSnapshot(handle)
    domain.reap()


def _revert_external(domain: Domain, name: str, handle: Any) -> None:
    """Make the overlays anew, empty: aside, and only then is the machine stopped."""
    layers = [
        _layer(domain, name, target, overlay) for target, overlay in _overlays(domain, name, handle)
    ]
    for layer in layers:
        refuse_loss(domain, layer)
    with ExitStack() as undo:
        asides = []
        for layer in layers:
            asides.append(overlays.empty_copy(layer.top))
            undo.callback(asides[-1].unlink, missing_ok=True)
        domain.disconnect()
        _drop_saved(domain)
        with _stopped(domain, name):
            for layer, aside in zip(layers, asides, strict=True):
                aside.replace(layer.top)


@contextmanager
def _stopped(domain: Domain, name: str) -> Iterator[None]:
    """The machine, if it runs, is off while the block runs and started afterwards."""
    running, kept = domain.is_running, bool(domain.handle.isPersistent())
    described = printed(domain.xml())
    remembered = [] if kept else _remembered(domain)
    if running:
        with translate_errors(f"{domain.name} can't be stopped to go back to {name}"):
            domain.handle.destroy()
    try:
        yield
    finally:
        if running and kept:
            domain.start()
        elif running:
            with domain.renewed(), translate_errors(f"{domain.name} can't be started again"):
                domain.handle = domain.handle.connect().createXML(described)
                for snapshot, flags in remembered:
                    domain.handle.snapshotCreateXML(snapshot, flags)
            domain.reap()


def _remembered(domain: Domain) -> list[tuple[str, int]]:
    """The snapshots of a machine that libvirt forgets when it stops, to be told again."""
    again = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE
    with translate_errors(f"The snapshots of {domain.name} can't be listed"):
        handles = domain.handle.listAllSnapshots(libvirt.VIR_DOMAIN_SNAPSHOT_LIST_TOPOLOGICAL)
        return [
            (
                handle.getXMLDesc(libvirt.VIR_DOMAIN_SNAPSHOT_XML_SECURE),
                again | (handle.isCurrent() and libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT),
            )
            for handle in handles
        ]


def _drop_saved(domain: Domain) -> None:
    """Memory that was saved came after the snapshot, and fits only the disks as they are now."""
    if domain.is_saved:
        with translate_errors(f"The saved memory of {domain.name} can't be dropped"):
            domain.handle.managedSaveRemove()


def _overlays(domain: Domain, name: str, handle: Any) -> Iterator[tuple[str, Path]]:
    """The disks of an external snapshot and the images that it was taken with."""
    with translate_errors(f"The snapshot {name} of {domain.name} can't be read"):
        described = ET.fromstring(handle.getXMLDesc())
    for disk in described.findall("./disks/disk[@snapshot='external']"):
        source = disk.find("source")
        yield disk.get("name", ""), Path("" if source is None else source.get("file", ""))


def _layer(domain: Domain, name: str, target: str, overlay: Path) -> Layer:
    """The image, which the machine must still use, and what it lies over."""
    if images(domain).get(target) != overlay:
        raise MachineError(
            f"{domain.name} has gone on from {name}: snapshots that came later go first."
        )
    return layer_of(domain, target, overlay)


def _holding(domain: Domain, name: str, handle: Any) -> dict[str, Path]:
    """The images that hold an internal snapshot, by the disk's target. Raises MachineError."""
    with translate_errors(f"The snapshot {name} of {domain.name} can't be read"):
        described = ET.fromstring(handle.getXMLDesc())
    found = {}
    frozen = frozen_images(handle)
    for disk in described.findall("./disks/disk[@snapshot='internal']"):
        target = disk.get("name", "")
        image = frozen.get(target)
        if image is None or (domain.host.is_here and not image.is_file()):
            continue  # of one that is not there libvirt knows more
        if domain.host.is_here and name not in qcow2.read(image).snapshots:
            raise MachineError(f"{image} holds no snapshot {name} of {domain.name} any more.")
        found[target] = image
    return found


def _forget(domain: Domain, name: str, handle: Any) -> None:
    with translate_errors(f"The snapshot {name} of {domain.name} can't be forgotten"):
        handle.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)


def _find(domain: Domain, name: str) -> Any:
    with translate_errors(f"{domain.name} has no snapshot {name}"):
        return domain.handle.snapshotLookupByName(name)


def _described(handle: Any) -> Snapshot:
    found = ET.fromstring(handle.getXMLDesc())
    memory = found.find("memory")
    return Snapshot(
        name=found.findtext("name", ""),
        parent=found.findtext("./parent/name", ""),
        description=found.findtext("description", ""),
        created_seconds=int(found.findtext("creationTime", "0")),
        is_external=found.find("./disks/disk[@snapshot='external']") is not None,
        has_memory=memory is not None and memory.get("snapshot") != "no",
        is_current=bool(handle.isCurrent()),
    )
