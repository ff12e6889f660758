"""Networks of a libvirt: behind NAT, isolated, or an existing bridge of the host.

They need a libvirt with a network driver, and dnsmasq. (libvirt, "Network XML format")
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Annotated, Literal

from vms.description.constraints import Like, objections
from vms.description.xml import element, printed
from vms.errors import InvalidDescription
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from vms.connection.connection import Connection


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """A network for machines on this host.

    `bridge` is its interface on the host, which libvirt creates, or which exists already in the
    mode `bridge`. The host has the first address of `subnet`, and DHCP assigns the others.
    """

    name: Annotated[str, Like(r"[A-Za-z0-9_.-]+", "letters, digits, _ . -")]
    bridge: Annotated[str, Like(r"[^/\s]{1,15}", "the name of an interface")]
    mode: Literal["nat", "isolated", "bridge"] = "nat"
    subnet: IPv4Network | None = None

    def objection(self) -> str:
        """Return why the network is invalid; empty if it is valid."""
        # The addresses on an existing bridge are not libvirt's to assign.
        if (self.subnet is None) != (self.mode == "bridge"):
            return "subnet is for the modes nat and isolated, and required there"
        if self.subnet and self.subnet.num_addresses < 4:
            return f"subnet {self.subnet} has no address for a machine: use a larger one"
        return ""

    def xml(self) -> str:
        """Return libvirt's description of the network."""
        forward = None if self.mode == "isolated" else element("forward", mode=self.mode)
        bridge = element("bridge", name=self.bridge)
        if not self.subnet:
            return printed(element("network", element("name", text=self.name), forward, bridge))
        host, first, last = self.subnet[1], self.subnet[2], self.subnet[-2]
        dhcp = element("dhcp", element("range", start=first, end=last))
        addresses = element("ip", dhcp, address=host, netmask=self.subnet.netmask)
        return printed(
            element("network", element("name", text=self.name), forward, bridge, addresses)
        )


def start(connection: Connection, network: HostNetwork) -> None:
    """Create the network, until it is stopped or the host is shut down. Raises MachineError."""
    for sentence in objections(network):
        raise InvalidDescription(f"Network {network.name}: {sentence}.")
    with translate_errors(f"Can't start network {network.name}"):
        connection.handle.networkCreateXML(network.xml())


def stop(connection: Connection, name: str) -> None:
    """Remove a network. Raises MachineError."""
    with translate_errors(f"Can't stop network {name}"):
        connection.handle.networkLookupByName(name).destroy()
