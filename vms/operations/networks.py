"""Networks that a libvirt keeps: behind NAT, isolated, or a bridge that the host has.

(libvirt, "Network XML format"; needs a libvirt with a network driver, and dnsmasq)
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Annotated, Literal

from vms.description.constraints import Like, objections
from vms.description.xml import element, printed
from vms.errors import MachineError
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from vms.connection.connection import Connection


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """A network of machines on this host.

    `bridge` is its interface on the host: one that libvirt makes, or, in the mode of that name, one
    that is there. `subnet` has the host at its first address and gives out the rest by DHCP.
    """

    name: Annotated[str, Like(r"[A-Za-z0-9_.-]+", "letters, digits, _ . -")]
    bridge: Annotated[str, Like(r"[^/\s]{1,15}", "the name of an interface")]
    mode: Literal["nat", "isolated", "bridge"] = "nat"
    subnet: IPv4Network | None = None

    def objection(self) -> str:
        """A bridge that is there has its addresses from elsewhere."""
        if (self.subnet is None) != (self.mode == "bridge"):
            return "subnet is for nat and isolated, which need it"
        if self.subnet and self.subnet.num_addresses < 4:
            return f"subnet {self.subnet} has no room for a machine"
        return ""

    def xml(self) -> str:
        """libvirt's description of it."""
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
    """Have libvirt make the network, until it is stopped or the host is. Raises MachineError."""
    for sentence in objections(network):
        raise MachineError(f"Network {network.name}: {sentence}.")
    with translate_errors(f"Can't start network {network.name}"):
        connection.handle.networkCreateXML(network.xml())


def stop(connection: Connection, name: str) -> None:
    """Have libvirt remove it. Raises MachineError."""
    with translate_errors(f"Can't stop network {name}"):
        connection.handle.networkLookupByName(name).destroy()
