"""Names, paths and addresses: checked before use, and quoted in XML and URIs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest

from tests.vms.description.described import machine
from vms import (
    Connection,
    DirectKernel,
    Disk,
    LibvirtNetwork,
    MachineError,
    Share,
    UserNetwork,
    hosts,
)
from vms.connection import embedded
from vms.description import Chipset, domain_xml, mac, names
from vms.description.constraints import objections
from vms.operations import hotplug, snapshots

if TYPE_CHECKING:
    from collections.abc import Iterator

LATIN = os.fsdecode(b"/caf\xe9/i.qcow2")


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with Connection.open(tmp_path_factory.mktemp("n", numbered=False), "test:///default") as opened:
        yield opened


@pytest.mark.parametrize("name", ["a", "web-1", "a.b_c+d", "0", "n" * 48])
def test_a_name_is_letters_digits_and_a_few_signs(name: str) -> None:
    names.refuse(name)
    names.refuse_snapshot(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "/a", "-a", ".a", "a b", "a\n", "häß", "a,b", "a:b", "a%b", "n" * 65,
     "a\0b", os.fsdecode(b"\xe9")],
)  # fmt: skip
def test_a_name_that_could_be_a_path_or_an_option_is_refused(
    name: str, connection: Connection
) -> None:
    box = connection.find("test")
    for refused in (
        lambda: names.refuse(name),
        lambda: box.rename(name),
        lambda: snapshots.create(box, name),
    ):
        with pytest.raises(MachineError, match=r"must be up to|must be UTF-8"):
            refused()
    assert box.name == "test"


@pytest.mark.parametrize(
    "path", [LATIN, "/a\x01b", "/a\ufffe"], ids=["latin", "control", "nonchar"]
)
def test_a_path_that_xml_cannot_contain_is_refused(path: str) -> None:
    for wrong in (Disk(Path(path)), Share(Path(path), "tag")):
        (sentence,) = objections(wrong)
        assert "must be UTF-8 without control characters, not" in sentence
        sentence.encode()  # fails for a message that can't be printed


def test_a_path_is_quoted_in_xml() -> None:
    path = "/a b/c,d%41&<e>'\"#?ü.qcow2"
    assert list(objections(Disk(Path(path)))) == []
    element = Disk(Path(path)).element(0, "q35", boots=False)
    source = ET.fromstring(ET.tostring(element)).find("source")
    assert source is not None
    assert source.get("file") == path


@pytest.mark.parametrize("name", ["a b", "a&b=c", "a%41", "a#b", "a?b", "a+b", "ü"])
def test_a_root_is_quoted_in_its_address(name: str) -> None:
    address = embedded.address_of(Path("/tmp") / name)
    assert address.isascii()
    assert hosts.is_embedded(address)
    assert parse_qs(urlsplit(address).query) == {"root": [f"/tmp/{name}"]}


@pytest.mark.parametrize("name", ["a,b", os.fsdecode(b"\xe9"), "a\x01"])
def test_a_root_that_libvirt_cannot_use_is_refused(name: str) -> None:
    with pytest.raises(MachineError, match="choose another directory"):
        embedded.prepare(Path("/tmp") / name)
    assert not (Path("/tmp") / name).exists()


# ---- addresses


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


# ---- ports


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
