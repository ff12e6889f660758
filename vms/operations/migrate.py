"""Move a running machine from one libvirt to another, with how long it stood still.

The process that asks holds both connections, and QEMU talks to QEMU over TCP. Two libvirts on one
host must have different host UUIDs (`host_uuid` in libvirtd.conf), since libvirt refuses to migrate
a machine to where it is. Disks are shared unless they are copied as well.
(virDomainMigrate3; libvirt, "Guest migration")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import libvirt

from vms.description.xml import printed
from vms.domain.images import frozen_images_of
from vms.errors import MachineError
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from vms.connection.connection import Connection
    from vms.domain.domain import Domain

_LOOPBACK = "tcp://127.0.0.1"


@dataclass(frozen=True, slots=True)
class Migration:
    """The machine where it is now, and what its move took, as QEMU and libvirt tell."""

    domain: Domain
    total_seconds: float
    downtime_seconds: float
    transferred_bytes: int
    memory_bytes: int


def migrate(
    domain: Domain,
    destination: Connection,
    *,
    uri: str | None = None,
    live: bool = True,
    copy_disks: bool = False,
    downtime_seconds: float | None = None,
    bandwidth_mib: int | None = None,
) -> Migration:
    """Move it; `uri` is where QEMU is reached there, by default on this host's loopback.

    `downtime_seconds` is how long it may stand still, `bandwidth_mib` what it may use a second.
    A machine that is defined here is defined there afterwards. Raises MachineError, and then it
    runs where it ran.
    """
    if not domain.is_running:
        raise MachineError(f"{domain.name} does not run: define it there instead.")
    if destination.is_embedded:
        raise MachineError(
            "libvirt's embedded driver sends machines away and takes none in: migrate to a daemon."
        )
    if uri is None and not destination.is_local:
        raise MachineError("Say by which address QEMU is reached on the other host.")
    destination.refuse_unsafe_disks(domain.xml(), frozen_images_of(domain))
    domain.disconnect()
    failed = f"{domain.name} can't be migrated"
    with translate_errors(failed):
        if downtime_seconds is not None:
            domain.handle.migrateSetMaxDowntime(max(1, round(downtime_seconds * 1000)))
        moved = domain.handle.migrate3(
            destination.handle,
            _parameters(domain, uri or _LOOPBACK, bandwidth_mib),
            _flags(domain, live=live, copy_disks=copy_disks),
        )
        took = moved.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    return Migration(
        domain=destination.find(domain.name),
        total_seconds=took.get("time_elapsed", 0) / 1000,
        downtime_seconds=took.get("downtime", 0) / 1000,
        transferred_bytes=took.get("data_processed", 0),
        memory_bytes=took.get("memory_total", 0),
    )


def _parameters(domain: Domain, uri: str, bandwidth_mib: int | None) -> dict[str, Any]:
    described = _there(domain)
    parameters: dict[str, Any] = {
        libvirt.VIR_MIGRATE_PARAM_URI: uri,
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: described,
    }
    if uri.startswith(_LOOPBACK):
        parameters[libvirt.VIR_MIGRATE_PARAM_LISTEN_ADDRESS] = "127.0.0.1"
    if domain.handle.isPersistent():
        parameters[libvirt.VIR_MIGRATE_PARAM_PERSIST_XML] = described
    if bandwidth_mib is not None:
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = bandwidth_mib
    return parameters


def _flags(domain: Domain, *, live: bool, copy_disks: bool) -> int:
    """Disks that both sides see are one file: caches are no danger, and libvirt is told so."""
    flags: int = libvirt.VIR_MIGRATE_UNSAFE
    if live:
        flags |= libvirt.VIR_MIGRATE_LIVE
    if copy_disks:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_DISK
    if domain.handle.isPersistent():
        flags |= libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    return flags


def _there(domain: Domain) -> str:
    """Its description there: only where its ports listen is another place."""
    with translate_errors(f"The description of {domain.name} can't be had"):
        flags = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_MIGRATABLE
        described = ET.fromstring(domain.handle.XMLDesc(flags))
    ports = (
        *described.findall("./devices/serial"),
        *described.findall("./devices/console"),
        *described.findall("./devices/channel"),
    )
    for port in ports:
        source = port.find("source")
        if port.get("type") == "unix" and source is not None and (path := source.get("path")):
            source.set("path", _elsewhere(path))
    return printed(described)


def _elsewhere(path: str) -> str:
    """On one host the machine's two QEMUs can't listen at one place."""
    return path.removesuffix("~") if path.endswith("~") else f"{path}~"
