"""Machines of a libvirt: its driver test:///default, and domain XML."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from lab.errors import Unavailable
from lab.planning.inventory import Service
from lab.planning.readers import libvirt_domains

if TYPE_CHECKING:
    from collections.abc import Iterator

GIB = 2.0**30


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep sockets in a directory of the test's own, whose path is short."""
    with tempfile.TemporaryDirectory(prefix="tv-", dir="/tmp") as path:
        monkeypatch.setenv("TONNAGE_STATE", path)
        yield


def test_the_machine_of_libvirts_test_driver() -> None:
    found = libvirt_domains.read("test:///default")
    requests = {"cpus": 2.0, "memory_bytes": 8 * GIB, "disk_bytes": 1099506450432.0}
    assert found.services == (Service("test", 1, requests),)
    (host,) = found.hosts
    assert (host.capacity["cpus"], host.capacity["memory_bytes"], host.count) == (16, 3 * GIB, 1)
    assert found.broken == ()


def test_a_libvirt_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(Unavailable, match="no libvirt answers at that address"):
        libvirt_domains.read("qemu+unix:///system?socket=/tmp/none-of-tonnage")


class Disks:
    """The capacities of a machine's disks, as libvirt's handle tells them."""

    def blockInfo(self, name: str) -> list[int]:  # noqa: N802
        return [{"vda": 10, "sda": 5}[name], 1, 1]


@pytest.mark.parametrize(
    ("xml", "cpus", "memory", "disk"),
    [
        ("<vcpu>4</vcpu><memory unit='KiB'>1048576</memory>", 4.0, GIB, 0.0),
        ("<vcpu current='2'>4</vcpu><memory>1048576</memory>", 2.0, GIB, 0.0),
        ("<vcpu>1</vcpu><memory unit='G'>2</memory>", 1.0, 2 * GIB, 0.0),
        ("<vcpu>1</vcpu><memory unit='MB'>2</memory>", 1.0, 2e6, 0.0),
        (
            "<vcpu>1</vcpu><memory>1024</memory><devices><disk><target dev='vda'/></disk>"
            "<disk device='lun'><target dev='sda'/></disk>"
            "<disk device='cdrom'><target dev='sdb'/></disk></devices>",
            1.0,
            2.0**20,
            15.0,
        ),
    ],
)
def test_sizes_are_those_of_the_xml(xml: str, cpus: float, memory: float, disk: float) -> None:
    requests = libvirt_domains._requests(ET.fromstring(f"<domain>{xml}</domain>"), Disks())
    wanted = {"cpus": cpus, "memory_bytes": memory}
    assert requests == ({**wanted, "disk_bytes": disk} if disk else wanted)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<memory>1024</memory>", "the number of its virtual CPUs is unknown"),
        ("<vcpu>1</vcpu>", "its memory is '' KiB, which is not known"),
        ("<vcpu>1</vcpu><memory unit='page'>1</memory>", "its memory is '1' page"),
    ],
)
def test_unknown_sizes_are_refused(xml: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        libvirt_domains._requests(ET.fromstring(f"<domain>{xml}</domain>"), Disks())
