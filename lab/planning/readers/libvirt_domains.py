"""Virtual machines of a libvirt: the domains that run, and the host that the connection leads to.

A machine takes the virtual CPUs that are plugged in, its memory as if its balloon were empty, and
the capacity of its disks. Machines that are off are left out. The disk of the host is that of
its active storage pools; a host without one states no disk, and then the machines don't either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.errors import Unavailable
from lab.planning.inventory import CPUS, DISK_BYTES, MEMORY_BYTES, Host, Inventory, Service
from lab.planning.readers.records import (
    MIB,
    BrokenLines,
    above_zero,
    inventory,
    offered_only,
)

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from vms import Connection

_DISKS = frozenset({"disk", "lun"})
_DECIMAL = {f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)}
_BINARY = {
    unit: 1024**power
    for power, letter in enumerate("KMGT", 1)
    for unit in (letter, letter.lower(), f"{letter}iB")
}
_UNITS = {"b": 1, "bytes": 1, **_DECIMAL, **_BINARY}


def read(source: str) -> Inventory:
    """Return the machines that run at a libvirt's address, such as qemu:///system, and its host.

    Broken lines have the place of the machine by name, from 1. Raise Unavailable if libvirt does
    not answer.
    """
    from vms import Connection, MachineError, paths

    broken = BrokenLines()
    services = []
    try:
        with Connection.open(paths.sockets(), source) as connection:
            host = _host(connection)
            for number, domain in enumerate(connection.domains(), 1):
                try:
                    if domain.is_running:
                        size = _requests(domain.xml(), domain.handle)
                        services.append(Service(domain.name, 1, size))
                except (ValueError, MachineError) as error:
                    broken.add(number, f"{domain.name}: {error}")
    except MachineError as error:
        raise Unavailable(str(error)) from error
    return inventory(source, "running machines", offered_only(services, [host]), [host], broken)


def _host(connection: Connection) -> Host:
    """Return the connection's host, one of its kind."""
    import libvirt

    from vms.libvirt_errors import translate_errors

    with translate_errors(f"Can't read the size of the host of {connection.uri}"):
        handle = connection.handle
        _, memory_mib, cpus, *_ = handle.getInfo()
        name = handle.getHostname()
    try:
        pools = handle.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE)
        disk = sum(pool.info()[1] for pool in pools)
    except libvirt.libvirtError:  # the embedded libvirt has no storage driver
        disk = 0
    capacity = {CPUS: float(cpus), MEMORY_BYTES: memory_mib * MIB, DISK_BYTES: float(disk)}
    return Host(name, above_zero(capacity), count=1)


def _requests(description: ET.Element, handle: Any) -> dict[str, float]:
    """Return what a machine takes. Raise ValueError for a size that is unknown."""
    vcpu = description.find("vcpu")
    cpus = "" if vcpu is None else vcpu.get("current") or vcpu.text or ""
    if not cpus.strip().isdecimal():
        raise ValueError("the number of its virtual CPUs is unknown")
    memory = description.find("memory")
    disks = [_disk_bytes(disk, handle) for disk in description.iterfind("./devices/disk")]
    return above_zero(
        {CPUS: float(cpus), MEMORY_BYTES: _memory_bytes(memory), DISK_BYTES: float(sum(disks))}
    )


def _memory_bytes(element: ET.Element | None) -> float:
    text = "" if element is None else element.text or ""
    unit = "KiB" if element is None else element.get("unit", "KiB")
    if not text.strip().isdecimal() or unit not in _UNITS:
        raise ValueError(f"its memory is {text.strip()!r} {unit}, which is not known")
    return float(int(text) * _UNITS[unit])


def _disk_bytes(disk: ET.Element, handle: Any) -> int:
    """Return the capacity of a disk; 0 for drives of media."""
    import libvirt

    target = disk.find("target")
    name = "" if target is None else target.get("dev", "")
    if disk.get("device", "disk") not in _DISKS:
        return 0
    try:
        return int(handle.blockInfo(name)[0])
    except libvirt.libvirtError as error:
        why = error.get_error_message()
        raise ValueError(f"the size of its disk {name} is unknown: {why}") from error
