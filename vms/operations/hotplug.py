"""Changes of a machine while it runs: disks, network cards, vCPUs, memory.

A microvm has no bus for hotplug, and a q35 machine takes as many devices as it has root ports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import libvirt

from vms.description import constraints, mac
from vms.description.xml import element, printed
from vms.domain import mac_addresses
from vms.domain.events import Events
from vms.errors import AlreadyExists, InUse, InvalidDescription, InvalidState, NotFound
from vms.libvirt_errors import translate_errors
from vms.operations import statistics
from vms.storage import readers

if TYPE_CHECKING:
    from vms.connection.connection import Connection
    from vms.description import Disk, Network
    from vms.domain.domain import Domain

_GONE_SECONDS = 30.0
MODULE_MIB = 128  # the block of memory that Linux on x86 adds. (memory_hotplug: block_size_bytes)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def attach_disk(connection: Connection, domain: Domain, disk: Disk) -> str:
    """Attach a disk and return its target, such as vdb. Raises MachineError.

    The policy for disk images applies as at the machine's start.
    """
    _refuse_microvm(domain, "disks")
    constraints.refuse(disk)
    domain.host.path(disk.path)
    connection.check_disk(disk)
    taken = {target.get("dev") for target in domain.xml().findall("./devices/disk/target")}
    number = next((n for n in range(26) if f"vd{_LETTERS[n]}" not in taken), None)
    if number is None:
        raise InvalidState(f"{domain.name} has 26 disks, the most it can have: detach one.")
    device = disk.element(number, "q35", boots=False)
    with translate_errors(f"The disk {disk.path} can't be attached to {domain.name}"):
        domain.handle.attachDeviceFlags(printed(device), affected(domain))
    if connection.is_local:
        readers.note(disk.path)
    return f"vd{_LETTERS[number]}"


def detach_disk(domain: Domain, target: str) -> None:
    """Detach a disk, and wait until the guest has released it. Raises MachineError."""
    _detach(domain, _device(domain, "disk", "target", "dev", target), target)


def attach_interface(domain: Domain, network: Network) -> str:
    """Attach a network card and return its MAC address. Raises MachineError."""
    _refuse_microvm(domain, "network cards")
    constraints.refuse(network)
    before = mac.of(domain.xml())
    if network.mac and mac.canonical(network.mac) in before:
        raise AlreadyExists(
            f"{domain.name} has a card with the address {network.mac} already: choose another"
            " address."
        )
    mac_addresses.refuse_taken(
        domain.handle.connect(), domain.name, [network.mac] if network.mac else []
    )
    with translate_errors(f"A network card can't be attached to {domain.name}"):
        domain.handle.attachDeviceFlags(printed(network.element("q35")), affected(domain))
    (address,) = mac.of(domain.xml()) - before
    return address


def detach_interface(domain: Domain, address: str) -> None:
    """Detach a network card, and wait until the guest has released it. Raises MachineError."""
    constraints.refuse(mac.Address(address))
    canonical = mac.canonical(address)
    _detach(domain, _device(domain, "interface", "mac", "address", canonical), canonical)


def set_vcpus(domain: Domain, count: int) -> None:
    """Set the number of vCPUs, up to the maximum of the description. Raises MachineError."""
    with translate_errors(f"{domain.name} can't have {count} vCPUs"):
        maximum = (
            domain.handle.maxVcpus()
            if domain.is_running
            else domain.handle.vcpusFlags(
                libvirt.VIR_DOMAIN_VCPU_MAXIMUM | libvirt.VIR_DOMAIN_AFFECT_CONFIG
            )
        )
        if not 1 <= count <= maximum:
            raise InvalidDescription(
                f"{domain.name} can have 1 to {maximum} vCPUs, the maximum of its description, and"
                f" not {count}."
            )
        domain.handle.setVcpusFlags(count, affected(domain))


def set_memory(domain: Domain, mib: int) -> None:
    """Set the memory that the balloon leaves the guest, up to the machine's memory.

    Raises MachineError, also for a machine without a balloon.
    """
    balloon = domain.xml().find("./devices/memballoon")
    if domain.is_running and (balloon is None or balloon.get("model") == "none"):
        raise InvalidState(
            f"{domain.name} has no balloon, so its memory can't change while it runs: shut it down"
            " first."
        )
    with translate_errors(f"{domain.name} can't have {mib} MiB of memory"):
        domain.handle.setMemoryFlags(mib << 10, affected(domain))


def attach_memory(domain: Domain, mib: int) -> str:
    """Attach a memory module and return its name, such as dimm0, by which it is detached.

    The guest uses the module once it is online. With `memhp_default_state=online_movable` on the
    command line its kernel brings it online by itself, and can release it again. Raises
    MachineError, also for a size that a Linux guest can't add and for more memory than the
    description has room for.
    """
    description = domain.xml()
    room = description.find("maxMemory")
    if room is None:
        raise InvalidState(
            f"{domain.name} has no slots for memory modules: create it with --max-memory"
            " (memory.maximum_mib)."
        )
    if mib < 1 or mib % MODULE_MIB:
        raise InvalidDescription(
            f"The size of a memory module must be a multiple of {MODULE_MIB} MiB, not {mib}."
        )
    left_mib = (int(room.text or 0) - int(description.findtext("memory") or 0)) >> 10
    if mib > left_mib:
        raise InvalidState(
            f"{domain.name} was described with room for {left_mib} MiB more, and not for {mib}."
        )
    before = _modules(description)
    if len(before) >= int(room.attrib["slots"]):
        raise InvalidState(
            f"All {room.attrib['slots']} memory slots of {domain.name} are in use: detach a module."
        )
    module = element(
        "memory",
        element("target", element("size", text=mib, unit="MiB"), element("node", text=0)),
        model="dimm",
    )
    with translate_errors(f"{mib} MiB of memory can't be added to {domain.name}"):
        domain.handle.attachDeviceFlags(printed(module), affected(domain))
    (name,) = _modules(domain.xml()).keys() - before.keys()
    return name


def detach_memory(domain: Domain, name: str) -> None:
    """Detach a memory module, and wait until the guest has released it. Raises MachineError."""
    modules = _modules(domain.xml())
    if name not in modules:
        raise NotFound(
            f"{domain.name} has no memory module {name}, but {', '.join(modules) or 'none'}."
        )
    _detach(domain, modules[name], name)


def _modules(description: ET.Element) -> dict[str, ET.Element]:
    """Return the memory modules by libvirt's aliases, or by such names while the machine is off."""
    modules = {}
    for number, module in enumerate(description.findall("./devices/memory")):
        alias = module.find("alias")
        modules[f"dimm{number}" if alias is None else alias.attrib["name"]] = module
    return modules


def resize_disk(domain: Domain, target: str, size_bytes: int) -> None:
    """Enlarge a disk while it is in use; the guest is notified. Raises MachineError."""
    current_bytes = _capacity_bytes(domain, target)
    if size_bytes < current_bytes:
        raise InvalidDescription(
            f"{target} of {domain.name} can only grow while it is in use: it has"
            f" {current_bytes:,} bytes, and {size_bytes:,} were asked for."
        )
    with translate_errors(f"{target} of {domain.name} can't be resized"):
        domain.handle.blockResize(target, size_bytes, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


def _capacity_bytes(domain: Domain, target: str) -> int:
    """Return a disk's size by the statistics, which include the disks of a microvm."""
    disks = (disk for machine in statistics.of(domain) for disk in machine.disks)
    for disk in disks:
        if disk.target == target:
            return disk.capacity_bytes
    raise NotFound(f"{domain.name} has no disk {target}.")


def _detach(domain: Domain, device: ET.Element, name: str) -> None:
    _refuse_microvm(domain, "devices")
    alias = device.find("alias")
    running = domain.is_running
    with Events(domain.handle.connect(), ("device",), domain.handle) as events:
        with translate_errors(f"{name} can't be detached from {domain.name}"):
            domain.handle.detachDeviceFlags(printed(device), affected(domain))
        while running and alias is not None:
            event = events.within(_GONE_SECONDS)
            if event is None or (event.name, event.detail) == ("kept", alias.get("name")):
                raise InUse(
                    f"The guest in {domain.name} does not release {name}: unmount it or take it"
                    " down inside first."
                )
            if (event.name, event.detail) == ("removed", alias.get("name")):
                return


def _device(domain: Domain, kind: str, tag: str, key: str, value: str) -> ET.Element:
    for device in domain.xml().findall(f"./devices/{kind}"):
        element_ = device.find(tag)
        if element_ is not None and element_.get(key) == value:
            return device
    raise NotFound(f"{domain.name} has no {kind} {value}.")


def affected(domain: Domain) -> int:
    """Return flags for a change of the running machine and, if libvirt keeps it, its definition."""
    flags: int = libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.is_running else 0
    if domain.handle.isPersistent():
        flags |= libvirt.VIR_DOMAIN_AFFECT_CONFIG
    return flags


def _refuse_microvm(domain: Domain, devices: str) -> None:
    """Raise InvalidState if the machine is a microvm that runs."""
    kind = domain.xml().find("./os/type")
    if domain.is_running and kind is not None and "microvm" in kind.get("machine", ""):
        raise InvalidState(
            f"{domain.name} is a microvm, which has no bus for hotplug of {devices}: describe them"
            " before it starts, or use q35."
        )
