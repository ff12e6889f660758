"""Change a machine while it runs: disks, network cards, vCPUs, memory.

What its kind can't have is refused: a microvm has no bus to plug into, and a q35 machine takes as
many devices as it was given ports for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import libvirt

from vms.description import constraints, mac
from vms.description.xml import element, printed
from vms.domain import mac_addresses
from vms.domain.events import Events
from vms.errors import MachineError
from vms.libvirt_errors import translate_errors
from vms.operations import statistics
from vms.storage import readers

if TYPE_CHECKING:
    from vms.connection.connection import Connection
    from vms.description import Disk, Network
    from vms.domain.domain import Domain

_GONE_SECONDS = 30.0
MODULE_MIB = 128  # what Linux on x86 takes at a time. (memory_hotplug: block_size_bytes)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def attach_disk(connection: Connection, domain: Domain, disk: Disk) -> str:
    """Plug a disk in; returns its target, such as vdb. Raises MachineError.

    It is looked at as a disk that a machine is started with.
    """
    _refuse_microvm(domain, "disks")
    constraints.refuse(disk)
    domain.host.path(disk.path)
    connection.check_disk(disk)
    taken = {target.get("dev") for target in domain.xml().findall("./devices/disk/target")}
    number = next((n for n in range(26) if f"vd{_LETTERS[n]}" not in taken), None)
    if number is None:
        raise MachineError(f"{domain.name} has 26 disks: there is no name for another one.")
    made = disk.element(number, "q35", boots=False)
    with translate_errors(f"The disk {disk.path} can't be attached to {domain.name}"):
        domain.handle.attachDeviceFlags(printed(made), _scope(domain))
    if connection.is_local:
        readers.note(disk.path)
    return f"vd{_LETTERS[number]}"


def detach_disk(domain: Domain, target: str) -> None:
    """Unplug a disk, and wait until the guest has let it go. Raises MachineError."""
    _detach(domain, _device(domain, "disk", "target", "dev", target), target)


def attach_interface(domain: Domain, network: Network) -> str:
    """Plug a network card in; returns its MAC address. Raises MachineError."""
    _refuse_microvm(domain, "network cards")
    constraints.refuse(network)
    before = mac.of(domain.xml())
    if network.mac and mac.canonical(network.mac) in before:
        raise MachineError(f"{domain.name} has a card with the address {network.mac} already.")
    mac_addresses.refuse_taken(
        domain.handle.connect(), domain.name, [network.mac] if network.mac else []
    )
    with translate_errors(f"A network card can't be attached to {domain.name}"):
        domain.handle.attachDeviceFlags(printed(network.element("q35")), _scope(domain))
    (address,) = mac.of(domain.xml()) - before
    return address


def detach_interface(domain: Domain, address: str) -> None:
    """Unplug a network card, and wait until the guest has let it go. Raises MachineError."""
    constraints.refuse(mac.Address(address))
    wanted = mac.canonical(address)
    _detach(domain, _device(domain, "interface", "mac", "address", wanted), wanted)


def set_vcpus(domain: Domain, count: int) -> None:
    """How many vCPUs it has, up to the most that it was described with. Raises MachineError."""
    with translate_errors(f"{domain.name} can't have {count} vCPUs"):
        most = (
            domain.handle.maxVcpus()
            if domain.is_running
            else domain.handle.vcpusFlags(
                libvirt.VIR_DOMAIN_VCPU_MAXIMUM | libvirt.VIR_DOMAIN_AFFECT_CONFIG
            )
        )
        if not 1 <= count <= most:
            raise MachineError(f"{domain.name} can have 1 to {most} vCPUs, as it was described.")
        domain.handle.setVcpusFlags(count, _scope(domain))


def set_memory(domain: Domain, mib: int) -> None:
    """How much memory its balloon leaves it, up to what it was started with.

    Raises MachineError, as for a machine without a balloon.
    """
    balloon = domain.xml().find("./devices/memballoon")
    if domain.is_running and (balloon is None or balloon.get("model") == "none"):
        raise MachineError(
            f"{domain.name} has no balloon: its memory stays as it is while it runs."
        )
    with translate_errors(f"{domain.name} can't have {mib} MiB of memory"):
        domain.handle.setMemoryFlags(mib << 10, _scope(domain))


def attach_memory(domain: Domain, mib: int) -> str:
    """Plug a memory module in; returns its name, such as dimm0, by which it is unplugged.

    A guest uses it once it has brought it online: by itself where its kernel was told
    `memhp_default_state=online_movable`, which also lets it go again. Raises MachineError for a
    size that a Linux guest can't take, and for more than was left room for.
    """
    described = domain.xml()
    room = described.find("maxMemory")
    if room is None:
        raise MachineError(f"{domain.name} was described with no slots for memory to be added.")
    if mib < 1 or mib % MODULE_MIB:
        raise MachineError(f"A memory module has a multiple of {MODULE_MIB} MiB, not {mib}.")
    left_mib = (int(room.text or 0) - int(described.findtext("memory") or 0)) >> 10
    if mib > left_mib:
        raise MachineError(f"{domain.name} was described with room for {left_mib} MiB more.")
    before = _modules(described)
    if len(before) >= int(room.attrib["slots"]):
        raise MachineError(f"All {room.attrib['slots']} slots of {domain.name} hold memory.")
    module = element(
        "memory",
        element("target", element("size", text=mib, unit="MiB"), element("node", text=0)),
        model="dimm",
    )
    with translate_errors(f"{mib} MiB of memory can't be added to {domain.name}"):
        domain.handle.attachDeviceFlags(printed(module), _scope(domain))
    (name,) = _modules(domain.xml()).keys() - before.keys()
    return name


def detach_memory(domain: Domain, name: str) -> None:
    """Unplug a memory module, and wait until the guest has let it go. Raises MachineError."""
    found = _modules(domain.xml())
    if name not in found:
        raise MachineError(f"{domain.name} has no memory module {name}.")
    _detach(domain, found[name], name)


def _modules(described: ET.Element) -> dict[str, ET.Element]:
    """Memory modules by their names: libvirt's where the machine runs, else of the same kind."""
    found = {}
    for number, module in enumerate(described.findall("./devices/memory")):
        alias = module.find("alias")
        found[f"dimm{number}" if alias is None else alias.attrib["name"]] = module
    return found


def resize_disk(domain: Domain, target: str, size_bytes: int) -> None:
    """Make a disk larger while it is used; the guest is told. Raises MachineError."""
    now_bytes = _capacity_bytes(domain, target)
    if size_bytes < now_bytes:
        raise MachineError(
            f"{target} of {domain.name} has {now_bytes:,} bytes: a disk in use only grows."
        )
    with translate_errors(f"{target} of {domain.name} can't be resized"):
        domain.handle.blockResize(target, size_bytes, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


def _capacity_bytes(domain: Domain, target: str) -> int:
    """As the statistics tell, which know a microvm's disks too."""
    disks = (disk for each in statistics.of(domain) for disk in each.disks)
    for disk in disks:
        if disk.target == target:
            return disk.capacity_bytes
    raise MachineError(f"{domain.name} has no disk {target}.")


def _detach(domain: Domain, device: ET.Element, name: str) -> None:
    _refuse_microvm(domain, "devices")
    alias = device.find("alias")
    running = domain.is_running
    with Events(domain.handle.connect(), ("device",), domain.handle) as heard:
        with translate_errors(f"{name} can't be detached from {domain.name}"):
            domain.handle.detachDeviceFlags(printed(device), _scope(domain))
        while running and alias is not None:
            event = heard.within(_GONE_SECONDS)
            if event is None or (event.name, event.detail) == ("kept", alias.get("name")):
                raise MachineError(f"The guest in {domain.name} does not let go of {name}.")
            if (event.name, event.detail) == ("removed", alias.get("name")):
                return


def _device(domain: Domain, kind: str, tag: str, key: str, value: str) -> ET.Element:
    for device in domain.xml().findall(f"./devices/{kind}"):
        found = device.find(tag)
        if found is not None and found.get(key) == value:
            return device
    raise MachineError(f"{domain.name} has no {kind} {value}.")


def _scope(domain: Domain) -> int:
    """A machine that runs is changed now and, if it stays, for its next start as well."""
    flags: int = libvirt.VIR_DOMAIN_AFFECT_LIVE if domain.is_running else 0
    if domain.handle.isPersistent():
        flags |= libvirt.VIR_DOMAIN_AFFECT_CONFIG
    return flags


def _refuse_microvm(domain: Domain, what: str) -> None:
    kind = domain.xml().find("./os/type")
    if domain.is_running and kind is not None and "microvm" in kind.get("machine", ""):
        raise MachineError(
            f"{domain.name} is a microvm, which has no bus to plug {what} into while it runs:"
            " describe them before it starts, or use q35."
        )
