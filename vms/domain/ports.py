"""Where a machine's console and channels listen, as its XML tells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from vms.description import CONSOLE
from vms.libvirt_errors import translate_errors

if TYPE_CHECKING:
    from collections.abc import Iterator


def listening_sockets(handle: Any) -> Iterator[tuple[str, Path]]:
    """The console and each channel by name, with where they listen."""
    with translate_errors(f"The description of {handle.name()} can't be had"):
        devices = ET.fromstring(handle.XMLDesc()).find("devices")
    assert devices is not None
    if (path := _listens_at(devices.find("serial"))) is not None:
        yield CONSOLE, path
    for channel in devices.findall("channel"):
        target, path = channel.find("target"), _listens_at(channel)
        if target is not None and path is not None and (name := target.get("name")):
            yield name, path


def _listens_at(port: ET.Element | None) -> Path | None:
    source = port.find("source") if port is not None else None
    return Path(source.attrib["path"]) if source is not None and "path" in source.attrib else None
