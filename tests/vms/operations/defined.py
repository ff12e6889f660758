"""Machines that are defined on libvirt's test driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from vms import Connection, Domain


def defined(connection: Connection, name: str, *devices: str) -> Domain:
    xml = (
        f"<domain type='test'><name>{name}</name><memory>1</memory><os><type>hvm</type></os>"
        f"<devices>{''.join(devices)}</devices></domain>"
    )
    box = connection.define_xml(xml)
    # libvirt's test driver supports no flags of undefine.
    box.undefine = box.handle.undefine  # type: ignore[method-assign]
    return box


def disk(path: Path, target: str = "vda", more: str = "", device: str = "disk") -> str:
    return (
        f"<disk type='file' device='{device}'><driver name='qemu' type='qcow2'/>"
        f"<source file='{path}'/><target dev='{target}'/>{more}</disk>"
    )
