"""Addresses of a machine's network cards, and addresses by which this host reaches its ports.

A card of the user-mode network has an address that is unreachable from outside: a port of the host
is forwarded to the machine instead. (virDomainInterfaceAddresses)
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal, get_args
from xml.etree import ElementTree as ET

import libvirt

from vms.description import mac
from vms.errors import InvalidState, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vms.domain.domain import Domain

Source = Literal["lease", "agent", "arp"]
SOURCES: tuple[Source, ...] = get_args(Source)
SSH = 22
_LOOPBACK_OF_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a card, and its source: the network's leases, the guest's agent, or ARP."""

    interface: str
    mac: str
    protocol: Literal["ipv4", "ipv6"]
    address: str
    prefix: int
    source: Source


def of(domain: Domain, sources: Sequence[Source] = SOURCES) -> list[Address]:
    """Return the addresses from the first source that has any.

    Raises MachineError if the machine is not running, or if no source has an address.
    """
    if not domain.is_running:
        raise InvalidState(
            f"{domain.name} is not running, so it has no addresses: start it with tonnage vm start"
            f" {domain.name}."
        )
    for source in sources:
        if addresses := list(_from_source(domain, source)):
            return addresses
    raise NotFound(
        f"No address of {domain.name} is known: it may still be booting, have no network card, or"
        " run no qemu-guest-agent."
    )


def endpoint(domain: Domain, port: int) -> tuple[str, int]:
    """Return the address and port by which this host reaches a TCP port of the machine.

    Raises MachineError.
    """
    description = domain.xml()
    # Forwards listen on libvirt's host.
    forwards = "./devices/interface/portForward[@proto='tcp']"
    for forward in description.findall(forwards) if domain.host.is_here else ():
        if listener := _forwarded(forward, port):
            return listener
    reachable_macs = {
        mac.canonical(tag.get("address", ""))
        for card in description.findall("./devices/interface")
        if card.get("type") != "user"
        for tag in card.findall("mac")
    }
    if not reachable_macs:
        raise unreachable(domain.name, port)
    reachable = [each for each in of(domain) if each.mac in reachable_macs and _is_global(each)]
    for address in sorted(reachable, key=lambda each: each.protocol):
        return address.address, port
    raise unreachable(domain.name, port)


def unreachable(name: str, port: int) -> Unavailable:
    """Return the error for a port that can't be reached from this host."""
    return Unavailable(
        f"Port {port} of {name} can't be reached from this host: start the machine with"
        f" -p 2222:{port} (create needs --network passt for that), or give it a network of libvirt"
        " or a bridge."
    )


def local_address(address: str) -> str:
    """Return an address by which this host reaches a listener on `address`."""
    return _LOOPBACK_OF_ANY.get(address, address)


def _from_source(domain: Domain, source: Source) -> Iterator[Address]:
    number = getattr(libvirt, f"VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_{source.upper()}")
    cards = {}
    with suppress(libvirt.libvirtError):  # this source does not exist or knows nothing here
        cards = domain.handle.interfaceAddresses(number)
    for name, card in cards.items():
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
    """Return the address and port of a passt forward to the machine's port. (<portForward>)"""
    address = forward.get("address", "127.0.0.1")
    for range_ in forward.findall("range"):
        start = int(range_.get("start", "0"))
        end, to = int(range_.get("end", start)), int(range_.get("to", start))
        if to <= port <= to + end - start and range_.get("exclude") != "yes":
            return local_address(address), start + port - to
    return None
