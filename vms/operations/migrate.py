"""Migration of a running machine from one libvirt to another, with its downtime.

This process has connections to both libvirts, and the two QEMUs are connected by TCP. Two libvirts
on one host must have different host UUIDs (`host_uuid` in libvirtd.conf), since libvirt refuses to
migrate a machine to its own host. Disks are shared, unless they are copied as well.
(virDomainMigrate3; libvirt, "Guest migration")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import libvirt

from vms.description.domain_xml import remove_monitor
from vms.description.xml import printed
from vms.domain.images import frozen_images_of
from vms.errors import InvalidDescription, InvalidState, Unavailable
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from vms.connection.connection import Connection
    from vms.domain.domain import Domain

_LOOPBACK = "tcp://127.0.0.1"


@dataclass(frozen=True, slots=True)
class Migration:
    """The machine at its destination, and times and bytes of its migration by QEMU's statistics."""

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
    """Migrate a machine; `uri` is the address of the other QEMU, by default on the loopback.

    `downtime_seconds` is the maximum downtime, `bandwidth_mib` the maximum bandwidth in MiB/s. The
    definition moves with the machine. Raises MachineError, and then the machine still runs here.
    """
    if not domain.is_running:
        raise InvalidState(
            f"{domain.name} is not running, so it can't be migrated: define it at the destination."
        )
    if destination.is_embedded:
        raise Unavailable(
            "libvirt's embedded driver can't receive machines: migrate to a libvirt daemon."
        )
    if uri is None and not destination.is_local:
        raise InvalidDescription(
            "The destination is another host: name the address of its QEMU with --to tcp://HOST."
        )
    destination.refuse_unsafe_disks(domain.xml(), frozen_images_of(domain))
    domain.disconnect()
    failed = f"{domain.name} can't be migrated"
    with translate_errors(failed):
        if downtime_seconds is not None:
            domain.handle.migrateSetMaxDowntime(max(1, round(downtime_seconds * 1000)))
        handle = domain.handle.migrate3(
            destination.handle,
            _parameters(domain, uri or _LOOPBACK, bandwidth_mib),
            _flags(domain, live=live, copy_disks=copy_disks),
        )
        statistics = handle.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    return Migration(
        domain=destination.find(domain.name),
        total_seconds=statistics.get("time_elapsed", 0) / 1000,
        downtime_seconds=statistics.get("downtime", 0) / 1000,
        transferred_bytes=statistics.get("data_processed", 0),
        memory_bytes=statistics.get("memory_total", 0),
    )


def _parameters(domain: Domain, uri: str, bandwidth_mib: int | None) -> dict[str, Any]:
    description = _description_there(domain)
    parameters: dict[str, Any] = {
        libvirt.VIR_MIGRATE_PARAM_URI: uri,
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: description,
    }
    if uri.startswith(_LOOPBACK):
        parameters[libvirt.VIR_MIGRATE_PARAM_LISTEN_ADDRESS] = "127.0.0.1"
    if domain.handle.isPersistent():
        parameters[libvirt.VIR_MIGRATE_PARAM_PERSIST_XML] = description
    if bandwidth_mib is not None:
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = bandwidth_mib
    return parameters


def _flags(domain: Domain, *, live: bool, copy_disks: bool) -> int:
    # Both sides see shared disks as one file, so any cache mode is safe.
    flags: int = libvirt.VIR_MIGRATE_UNSAFE
    if live:
        flags |= libvirt.VIR_MIGRATE_LIVE
    if copy_disks:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_DISK
    if domain.handle.isPersistent():
        flags |= libvirt.VIR_MIGRATE_PERSIST_DEST | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    return flags


def _description_there(domain: Domain) -> str:
    """Return the description for the destination, in which the ports have other sockets."""
    with translate_errors(f"Can't read the description of {domain.name}"):
        flags = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_MIGRATABLE
        description = ET.fromstring(domain.handle.XMLDesc(flags))
    remove_monitor(description)
    ports = (
        *description.findall("./devices/serial"),
        *description.findall("./devices/console"),
        *description.findall("./devices/channel"),
    )
    for port in ports:
        source = port.find("source")
        if port.get("type") == "unix" and source is not None and (path := source.get("path")):
            source.set("path", _other_path(path))
    return printed(description)


def _other_path(path: str) -> str:
    """Return another path, since on one host both QEMUs can't listen on the same socket."""
    return path.removesuffix("~") if path.endswith("~") else f"{path}~"
