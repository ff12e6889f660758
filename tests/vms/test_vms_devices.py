"""A machine's XML, held against golden files and against libvirt's schema where that is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from vms import Accelerator, DirectKernel, Disk, Machine, MachineError, UserNetwork
from vms.devices import Chipset, domain_xml

GOLDEN = Path(__file__).parent / "xml"
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
CASES = [
    (chipset, accelerator)
    for chipset in ("q35", "i440fx", "microvm")
    for accelerator in Accelerator
]
SOCKETS = {
    "console": Path("/r/s/box.0"),
    "tonnage.events": Path("/r/s/box.1"),
    "tonnage.agent": Path("/r/s/box.2"),
}


def machine(chipset: Chipset = "q35", accelerator: Accelerator = Accelerator.TCG) -> Machine:
    return Machine(
        name="box",
        vcpus=2,
        memory_mib=256,
        accelerator=accelerator,
        chipset=chipset,
        boot=DirectKernel(Path("/k/vmlinuz"), Path("/k/initramfs"), "console=ttyS0 <&>"),
        disks=(Disk(Path("/d/one.qcow2")), Disk(Path("/d/two.raw"), format="raw", cache="none")),
        channels=("tonnage.events", "tonnage.agent"),
        network=UserNetwork({7001: 7000}),
    )


@pytest.mark.parametrize(("chipset", "accelerator"), CASES)
def test_the_xml_is_the_golden_one(chipset: Chipset, accelerator: Accelerator) -> None:
    golden = GOLDEN / f"{chipset}-{accelerator.value}.xml"
    assert domain_xml(machine(chipset, accelerator), SOCKETS) + "\n" == golden.read_text()


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.xml")), ids=lambda path: path.stem)
def test_libvirts_schema_takes_it(golden: Path) -> None:
    etree = pytest.importorskip("lxml.etree")
    if not SCHEMA.exists():
        pytest.skip(f"{SCHEMA} is not installed: apt-get install libvirt0")
    schema = etree.RelaxNG(etree.parse(str(SCHEMA)))
    document = etree.parse(str(golden))
    assert schema.validate(document), schema.error_log


@pytest.mark.parametrize("chipset", ["q35", "i440fx", "microvm"])
def test_accelerators_differ_in_type_and_cpu_alone(chipset: Chipset) -> None:
    def without(accelerator: Accelerator) -> str:
        domain = ET.fromstring(domain_xml(machine(chipset, accelerator), SOCKETS))
        del domain.attrib["type"]
        cpu = domain.find("cpu")
        assert cpu is not None
        domain.remove(cpu)
        return ET.tostring(domain, encoding="unicode")

    assert without(Accelerator.KVM) == without(Accelerator.TCG)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "a/b"}, "is no name for a machine"),
        ({"vcpus": 0}, "at least 1 vCPU"),
        ({"memory_mib": 1}, "at least 1 vCPU and 16 MiB"),
        ({}, "there is no file /k/vmlinuz"),
    ],
)
def test_what_cannot_start_is_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(MachineError, match=sentence):
        dataclasses.replace(machine(), **changes).check()  # type: ignore[arg-type]
