"""Network cards: user mode, which needs no privilege, a libvirt network, or a host's bridge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal
from xml.etree import ElementTree as ET

from vms.description.constraints import Between, Like
from vms.description.devices.bus_address import Chipset, address
from vms.description.mac import Mac, canonical
from vms.description.xml import element

Port = Annotated[int, Between(1, 65535)]
_Name = Annotated[str, Like(r"[A-Za-z0-9_.:-]+", "the name of a network")]
_Queues = Annotated[int, Between(1, 256)]
_Interface = Annotated[str, Like(r"[^/\s]{1,15}", "the name of an interface")]


@dataclass(frozen=True, slots=True)
class Forward:
    """A port of the host that is forwarded to a port of the machine."""

    host: Port
    guest: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    address: Annotated[str, Like(r"[0-9a-fA-F.:]+", "an address of this host")] = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class UserNetwork:
    """A card behind a network stack in user space: QEMU's own (slirp), or passt.

    passt gets its port forwards from the domain XML; slirp gets them once the machine runs.
    """

    forwards: tuple[Forward, ...] = ()
    backend: Literal["slirp", "passt"] = "slirp"
    mac: Mac | None = None

    def objection(self) -> str:
        """Return the conflict between fields, if any: two forwards of one port."""
        taken = [(forward.protocol, forward.address, forward.host) for forward in self.forwards]
        return "forwards name a port twice" if len(set(taken)) < len(taken) else ""

    def element(self, chipset: Chipset) -> ET.Element:
        """Return <interface>."""
        passt = self.backend == "passt"
        return _card(
            "user",
            chipset,
            self.mac,
            element("backend", type="passt") if passt else None,
            *(_port_forward(forward) for forward in self.forwards if passt),
        )


@dataclass(frozen=True, slots=True)
class LibvirtNetwork:
    """A card on a network that libvirt manages (see vms.operations.networks)."""

    name: _Name = "default"
    mac: Mac | None = None

    def element(self, chipset: Chipset) -> ET.Element:
        """Return <interface>."""
        return _card("network", chipset, self.mac, element("source", network=self.name))


@dataclass(frozen=True, slots=True)
class HostBridge:
    """A card on a bridge of the host; each queue can be served by a CPU of its own."""

    interface: _Interface
    mac: Mac | None = None
    queues: _Queues = 1

    def element(self, chipset: Chipset) -> ET.Element:
        """Return <interface>."""
        driver = element("driver", queues=str(self.queues)) if self.queues > 1 else None
        return _card("bridge", chipset, self.mac, element("source", bridge=self.interface), driver)


Network = UserNetwork | LibvirtNetwork | HostBridge


def _card(kind: str, chipset: Chipset, mac: str | None, *children: ET.Element | None) -> ET.Element:
    return element(
        "interface",
        element("mac", address=canonical(mac)) if mac else None,
        *children,
        element("model", type="virtio"),
        address(chipset),
        type=kind,
    )


def _port_forward(forward: Forward) -> ET.Element:
    return element(
        "portForward",
        element("range", start=forward.host, to=forward.guest),
        proto=forward.protocol,
        address=forward.address,
    )
