"""Addresses of a machine's cards, and where its ports are reached from this host.

A card of the user-mode network has an address that nobody outside reaches: what leads into the
machine is a port of this host. (virDomainInterfaceAddresses)
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal, get_args
from xml.etree import ElementTree as ET

import libvirt

from vms.description import mac
from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vms.domain.domain import Domain

Source = Literal["lease", "agent", "arp"]
SOURCES: tuple[Source, ...] = get_args(Source)
SSH = 22
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a card, and who said so: the network's leases, the agent inside, or ARP."""

    interface: str
    mac: str
    protocol: Literal["ipv4", "ipv6"]
    address: str
    prefix: int
    source: Source


def of(domain: Domain, sources: Sequence[Source] = SOURCES) -> list[Address]:
    """Return the addresses by the first source that knows any. Raises MachineError if none does."""
    if not domain.is_running:
        raise MachineError(f"{domain.name} does not run: it has no addresses.")
    for source in sources:
        if found := list(_told(domain, source)):
            return found
    raise MachineError(
        f"No address of {domain.name} is known: it may still boot, or have no card, or no"
        " qemu-guest-agent inside that would say it."
    )


def endpoint(domain: Domain, port: int) -> tuple[str, int]:
    """Return the address and port by which this host reaches a TCP port of the machine.

    Raises MachineError.
    """
    described = domain.xml()
    forwards = "./devices/interface/portForward[@proto='tcp']"  # of ports of libvirt's own host
    for forward in described.findall(forwards) if domain.host.is_here else ():
        if way := _forwarded(forward, port):
            return way
    outside = {
        mac.canonical(found.get("address", ""))
        for card in described.findall("./devices/interface")
        if card.get("type") != "user"
        for found in card.findall("mac")
    }
    if not outside:
        raise unreachable(domain.name, port)
    reachable = [each for each in of(domain) if each.mac in outside and _is_global(each)]
    for each in sorted(reachable, key=lambda each: each.protocol):
        return each.address, port
    raise unreachable(domain.name, port)


def unreachable(name: str, port: int) -> MachineError:
    """Return the error for a port that nothing leads to."""
    return MachineError(
        f"Nothing leads to port {port} of {name} from this host: start it with -p 2222:{port}"
        " (kept machines: --network passt), or on a network of libvirt's or a bridge."
    )


def reached(address: str) -> str:
    """Return an address by which this host reaches what listens there."""
    return _ANYWHERE.get(address, address)


def _told(domain: Domain, source: Source) -> Iterator[Address]:
    number = getattr(libvirt, f"VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_{source.upper()}")
    found = {}
    with suppress(libvirt.libvirtError):  # it does not know this machine, or is not there
        found = domain.handle.interfaceAddresses(number)
    for name, card in found.items():
        for each in card["addrs"] or ():
            if not ip_address(each["addr"].partition("%")[0]).is_loopback:
                yield Address(
                    name,
                    mac.canonical(card["hwaddr"] or ""),
                    "ipv6" if each["type"] == libvirt.VIR_IP_ADDR_TYPE_IPV6 else "ipv4",
                    each["addr"],
                    each["prefix"],
                    source,
                )


def _is_global(each: Address) -> bool:
    return not ip_address(each.address.partition("%")[0]).is_link_local


def _forwarded(forward: ET.Element, port: int) -> tuple[str, int] | None:
    """Return where a forward of passt's listens that leads to a port. (<portForward>)"""
    address = forward.get("address", "127.0.0.1")
    for given in forward.findall("range"):
        start = int(given.get("start", "0"))
        end, to = int(given.get("end", start)), int(given.get("to", start))
        if to <= port <= to + end - start and given.get("exclude") != "yes":
            return reached(address), start + port - to
    return None
