"""Serial ports: the console (the first UART) and virtio-serial channels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree as ET

from vms.description.constraints import Like
from vms.description.devices.bus_address import Chipset, address
from vms.description.xml import element

ChannelName = Annotated[str, Like(r"[A-Za-z0-9_.-]+", "letters, digits, _ . -")]


def console(listens: Path | None) -> ET.Element:
    """Return <serial> for the first UART: on a socket, or on a pseudoterminal of libvirt's."""
    return element(
        "serial",
        _source(listens),
        element("target", type="isa-serial", port=0),
        type="unix" if listens else "pty",
    )


def controller(channels: int, chipset: Chipset) -> ET.Element:
    """Return <controller> for the channels, with no more ports than they need.

    A guest makes two queues for each possible port, and on a microvm each has room for 1,024
    buffers.
    """
    ports = channels + 1  # port 0 is reserved for a console
    return element("controller", address(chipset), type="virtio-serial", index=0, ports=ports)


def channel(name: str, listens: Path | None) -> ET.Element:
    """Return <channel> for a virtio-serial port on a socket; without a path libvirt chooses one."""
    source = _source(listens)
    return element(
        "channel",
        source if source is not None else element("source", mode="bind"),
        element("target", type="virtio", name=name),
        type="unix",
    )


def _source(listens: Path | None) -> ET.Element | None:
    return element("source", mode="bind", path=listens) if listens else None
