"""MAC addresses: notation, validity, and no two machines with the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.vms.description.described import machine
from vms import Connection, DirectKernel, LibvirtNetwork, MachineError, UserNetwork
from vms.description import mac
from vms.description.constraints import objections
from vms.operations import hotplug


@pytest.mark.parametrize(
    "address", ["52:54:00:ab:cd:ef", "52:54:00:AB:CD:EF", "52-54-00-ab-CD-ef", "5254.00ab.cdef"]
)
def test_an_address_has_several_notations(address: str) -> None:
    assert list(objections(UserNetwork(mac=address))) == []
    assert mac.canonical(address) == "52:54:00:ab:cd:ef"
    mac_element = UserNetwork(mac=address).element("q35").find("mac")
    assert mac_element is not None
    assert mac_element.get("address") == "52:54:00:ab:cd:ef"


@pytest.mark.parametrize(
    "address",
    ["", "52:54:00:ab:cd", "53:54:00:ab:cd:ef", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00",
     "52:54-00:ab-cd:ef", "52:54:00:ab:cd:eg", "5254:00ab:cdef", "52:54:00:ab:cd:ef:01"],
)  # fmt: skip
def test_an_invalid_address_of_a_card_is_refused(address: str) -> None:
    assert "must be a unicast address" in " ".join(objections(UserNetwork(mac=address)))


def test_two_cards_with_one_address_are_refused(connection: Connection) -> None:
    one, two = "52:54:00:AB:00:01", "52-54-00-ab-00-01"
    twice = (UserNetwork(mac=one), UserNetwork(mac=two))
    sentences = list(objections(replace(machine(), networks=twice)))
    assert sentences == ["networks contains 52:54:00:ab:00:01 twice"]
    kernel = DirectKernel(Path(__file__), None)
    device = f"<devices><interface type='user'><mac address='{one}'/></interface></devices>"
    box = connection.define_xml(
        "<domain type='test'><name>carded</name><memory>1</memory><os><type>hvm</type></os>"
        f"{device}</domain>"
    )
    with pytest.raises(MachineError, match=r"carded has a card with the address .* already"):
        hotplug.attach_interface(box, LibvirtNetwork(mac=two))
    with pytest.raises(MachineError, match="carded has a card with the address 52:54:00:ab:00:01:"):
        hotplug.attach_interface(connection.find("test"), LibvirtNetwork(mac=two))
    with pytest.raises(MachineError, match="carded has a card with the address 52:54:00:ab:00:01:"):
        connection.check(replace(machine(), boot=kernel, disks=(), networks=twice[1:]))
    with pytest.raises(MachineError, match="address must be a unicast address"):
        hotplug.detach_interface(box, "first")
    box.handle.undefine()
