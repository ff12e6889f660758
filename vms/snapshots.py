"""Snapshots: internal ones lie in the disk's own image, external ones make it a backing file.

An internal snapshot of a machine that runs holds its memory as well. An external one is of disks
alone: to revert to it is to begin again from there, with what was written since thrown away.
libvirt before 9.10 neither reverts to external ones nor deletes them; what it leaves out is done
here by its block jobs and by qemu-img, and so works with every libvirt.
(libvirt, "Snapshot XML format"; qemu-img(1), commit)
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import libvirt

from vms import overlays
from vms.elements import element, printed
from vms.errors import MachineError
from vms.libvirt_errors import told_as

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vms.domain import Domain

_POLL_SECONDS = 0.05
COMMIT_SECONDS = 600.0


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
    """Take a snapshot. Raises MachineError."""
    wanted = element(
        "domainsnapshot",
        element("name", text=name),
        element("description", text=description) if description else None,
    )
    flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    if external:
        flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    with told_as(f"No snapshot {name} of {domain.name}"):
        return _described(domain.handle.snapshotCreateXML(printed(wanted), flags))


def of(domain: Domain) -> list[Snapshot]:
    """All snapshots, oldest first. Raises MachineError."""
    with told_as(f"The snapshots of {domain.name} can't be listed"):
        found = [_described(handle) for handle in domain.handle.listAllSnapshots()]
    return sorted(found, key=lambda snapshot: (snapshot.created_seconds, snapshot.name))


def revert(domain: Domain, name: str) -> None:
    """Go back to a snapshot; what came after it is lost.

    With memory the machine goes on as it was; without, it is off if it was, and boots anew if it
    runs. Raises MachineError.
    """
    handle = _find(domain, name)
    domain.disconnect()
    if _described(handle).is_external:
        _revert_external(domain, name, handle)
        return
    with told_as(f"{domain.name} can't go back to {name}"):
        domain.handle.revertToSnapshot(handle)
    domain.reap()


def delete(domain: Domain, name: str) -> None:
    """Forget a snapshot. What lies over an external one is merged into it.

    Raises MachineError, as for an external one that others follow: delete the newest first.
    """
    handle = _find(domain, name)
    if not _described(handle).is_external:
        with told_as(f"The snapshot {name} of {domain.name} can't be deleted"):
            handle.delete()
        return
    for target, overlay in _overlays(domain, name, handle):
        commit(domain, target)
        overlay.unlink(missing_ok=True)
    _forget(domain, name, handle)


def commit(domain: Domain, target: str, timeout_seconds: float = COMMIT_SECONDS) -> Path:
    """Merge a disk's image into the one below it, which is then the disk's; returns that one.

    The machine may run meanwhile. Raises MachineError. (virDomainBlockCommit)
    """
    top = images(domain)[target]
    below = overlays.backing_file(top)
    if below is None:
        raise MachineError(f"{top} lies over no other image: there is nothing to merge it into.")
    if domain.is_running:
        _commit_live(domain, target, timeout_seconds)
    else:
        overlays.commit(top)
        _point(domain, {target: below})
    return below


def _commit_live(domain: Domain, target: str, timeout_seconds: float) -> None:
    handle, deadline = domain.handle, time.monotonic() + timeout_seconds
    flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE | libvirt.VIR_DOMAIN_BLOCK_COMMIT_SHALLOW
    with told_as(f"{target} of {domain.name} can't be merged"):
        handle.blockCommit(target, None, None, 0, flags)
        while not _is_ready(handle.blockJobInfo(target, 0)):
            if time.monotonic() > deadline:
                handle.blockJobAbort(target, 0)
                raise MachineError(
                    f"{target} of {domain.name} was not merged within {timeout_seconds:.0f} s: it"
                    " writes faster than that."
                )
            time.sleep(_POLL_SECONDS)
        handle.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)


def _is_ready(job: dict[str, int]) -> bool:
    """(libvirt counts an empty disk as 1 of 1, and a job that has yet to begin as 0 of 0.)"""
    return bool(job) and job["end"] > 0 and job["cur"] == job["end"]


def _revert_external(domain: Domain, name: str, handle: Any) -> None:
    """Make the overlays anew, empty."""
    lying_over = list(_overlays(domain, name, handle))
    was_running = domain.is_running
    if was_running:
        with told_as(f"{domain.name} can't be stopped to go back to {name}"):
            domain.handle.destroy()
    for _, overlay in lying_over:
        below = overlays.backing_file(overlay)
        if below is None:
            raise MachineError(f"{overlay} lies over no other image any more.")
        overlays.start_over(overlay, below)
    if was_running:
        domain.start()


def _overlays(domain: Domain, name: str, handle: Any) -> Iterator[tuple[str, Path]]:
    """The disks of an external snapshot and their images, which the machine must still use."""
    used = images(domain)
    with told_as(f"The snapshot {name} of {domain.name} can't be read"):
        described = ET.fromstring(handle.getXMLDesc())
    for disk in described.findall("./disks/disk[@snapshot='external']"):
        source = disk.find("source")
        target = disk.get("name", "")
        if source is None or used.get(target) != Path(source.get("file", "")):
            raise MachineError(
                f"{domain.name} has gone on from {name}: snapshots that came later go first."
            )
        yield target, used[target]


def _forget(domain: Domain, name: str, handle: Any) -> None:
    with told_as(f"The snapshot {name} of {domain.name} can't be forgotten"):
        handle.delete(libvirt.VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY)


def images(domain: Domain) -> dict[str, Path]:
    """The image of each disk by its target."""
    found = {}
    for disk in domain.xml().findall("./devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None and source.get("file"):
            found[target.attrib["dev"]] = Path(source.attrib["file"])
    return found


def _point(domain: Domain, images: dict[str, Path]) -> None:
    """Define the machine with other images for some of its disks."""
    described = domain.xml(inactive=True)
    for disk in described.findall("./devices/disk"):
        source, target = disk.find("source"), disk.find("target")
        if source is not None and target is not None and target.get("dev") in images:
            source.set("file", str(images[target.attrib["dev"]]))
            for below in disk.findall("backingStore"):
                disk.remove(below)
    with told_as(f"{domain.name} can't be given its merged disks"):
        domain.handle.connect().defineXML(printed(described))


def _find(domain: Domain, name: str) -> Any:
    with told_as(f"{domain.name} has no snapshot {name}"):
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
