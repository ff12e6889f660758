"""Ports of PCI Express for the devices of a q35."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from tests.vms.description.described import machine
from vms.description import Chipset, domain_xml


@pytest.mark.parametrize(
    ("chipset", "spare", "ports"), [("q35", 4, 4 + 4), ("q35", 0, 0), ("i440fx", 4, 0)]
)
def test_a_q35_has_spare_ports_beside_those_of_its_devices(
    chipset: Chipset, spare: int, ports: int
) -> None:
    """The devices are two disks, a card, and one virtio-serial for all channels."""
    spacious = replace(machine(chipset), spare_ports=spare)
    domain = ET.fromstring(domain_xml(spacious, {}))
    assert len(domain.findall("./devices/controller[@model='pcie-root-port']")) == ports
