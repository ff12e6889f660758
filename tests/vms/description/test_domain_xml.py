"""Domain XML: golden files, libvirt's schema, and every property exercised somewhere."""

from __future__ import annotations

import dataclasses
import os
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints
from xml.etree import ElementTree as ET

import pytest

from tests.vms.description.described import PATHS, described, machine
from vms import (
    Accelerator,
    Balloon,
    Cdrom,
    Cpu,
    DirectKernel,
    Disk,
    Firmware,
    Forward,
    MachineError,
    Memory,
    Share,
    Topology,
    UserNetwork,
    Vsock,
    Watchdog,
)
from vms.description import Chipset, domain_xml
from vms.description.domain_xml import remove_monitor

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parent / "xml"
SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
MACHINES = described()


@pytest.mark.parametrize("name", MACHINES)
def test_the_xml_equals_the_golden_file(name: str) -> None:
    xml = domain_xml(MACHINES[name], PATHS) + "\n"
    golden = GOLDEN / f"{name}.xml"
    if os.environ.get("TONNAGE_WRITE_GOLDEN"):
        golden.write_text(xml)
    assert xml == golden.read_text()


def test_every_golden_file_has_a_machine() -> None:
    assert {path.stem for path in GOLDEN.glob("*.xml")} == set(MACHINES)


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.xml")), ids=lambda path: path.stem)
def test_the_xml_is_valid_by_libvirts_schema(golden: Path) -> None:
    etree = pytest.importorskip("lxml.etree")
    if not SCHEMA.exists():
        pytest.skip(f"{SCHEMA} is not installed: apt-get install libvirt0")
    schema = etree.RelaxNG(etree.parse(str(SCHEMA)))
    document = etree.parse(str(golden))
    assert schema.validate(document), schema.error_log


# Properties that take effect at the start and do not show in the XML.
NOT_IN_XML = {
    ("Memory", "transparent_huge_pages"),
    ("UserNetwork", "forwards"),
    ("Forward", "host"),
    ("Forward", "guest"),
    ("Forward", "protocol"),
    ("Forward", "address"),
}


def parts(value: Any) -> Iterator[Any]:
    """Yield a description and all of its parts."""
    if dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from parts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for each in value:
            yield from parts(each)


def kinds() -> set[type]:
    return {type(part) for each in MACHINES.values() for part in parts(each)}


def choices(annotation: Any) -> set[Any]:
    """Return the choices of a Literal, alone or in a union."""
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return {choice for inner in get_args(annotation) for choice in choices(inner)}


@pytest.mark.parametrize("kind", sorted(kinds(), key=attrgetter("__name__")))
def test_every_property_is_exercised(kind: type) -> None:
    """A property that has the same value in all golden machines is untested."""
    seen = [part for each in MACHINES.values() for part in parts(each) if type(part) is kind]
    for field in dataclasses.fields(kind):
        annotation = get_type_hints(kind)[field.name]
        values = [getattr(part, field.name) for part in seen]
        if expected := choices(annotation) if get_origin(annotation) is not tuple else set():
            assert expected <= set(values), f"{kind.__name__}.{field.name}"
        if field.default is not dataclasses.MISSING:
            assert any(value != field.default for value in values), f"{kind.__name__}.{field.name}"


def test_every_kind_of_part_is_exercised() -> None:
    import vms.description

    offered = {
        value
        for name in vms.description.__all__
        if dataclasses.is_dataclass(value := getattr(vms.description, name))
    }
    assert offered == kinds()


@pytest.mark.parametrize("name", MACHINES)
def test_every_property_shows_in_the_xml(name: str) -> None:
    """Setting a property back to its default changes the XML."""
    whole = MACHINES[name]
    for path, changed in set_back(whole):
        if path not in NOT_IN_XML:
            assert domain_xml(changed, PATHS) != domain_xml(whole, PATHS), path


def set_back(whole: Any) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield each property that is not at its default, and the description with the default."""
    for field in dataclasses.fields(whole):
        value = getattr(whole, field.name)
        default: Any = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if default is not dataclasses.MISSING and value != default:
            yield (
                (type(whole).__name__, field.name),
                dataclasses.replace(whole, **{field.name: default}),
            )
        if dataclasses.is_dataclass(value):
            for path, changed in set_back(value):
                yield path, dataclasses.replace(whole, **{field.name: changed})
        elif isinstance(value, tuple):
            for number, each in enumerate(value):
                for path, changed in set_back(each) if dataclasses.is_dataclass(each) else ():
                    replaced = (*value[:number], changed, *value[number + 1 :])
                    yield path, dataclasses.replace(whole, **{field.name: replaced})


@pytest.mark.parametrize("chipset", ["q35", "i440fx", "microvm"])
def test_accelerators_differ_in_type_and_cpu_alone(chipset: Chipset) -> None:
    kvm, tcg = (
        domain_xml(machine(chipset, accelerator), PATHS, broken=("arch-capabilities",)).splitlines()
        for accelerator in (Accelerator.KVM, Accelerator.TCG)
    )
    assert kvm[0] == '<domain type="kvm">'
    assert tcg[0] == '<domain type="qemu">'
    begin = tcg.index('  <cpu mode="maximum" />')
    assert kvm[begin : begin + 3] == [
        '  <cpu mode="host-passthrough" check="none">',
        '    <feature policy="disable" name="arch-capabilities" />',
        "  </cpu>",
    ]
    assert kvm[1:begin] + kvm[begin + 3 :] == tcg[1:begin] + tcg[begin + 1 :]


@pytest.mark.parametrize(
    ("chipset", "command_line", "arguments"),
    [("microvm", "quiet tsc_early_khz=2600000", ("-machine", "pit=off")),
     ("microvm", "quiet", ()), ("q35", "tsc_early_khz=2600000", ())],
)  # fmt: skip
def test_the_legacy_timer_is_off_where_no_guest_measures_by_it(
    chipset: Chipset, command_line: str, arguments: tuple[str, ...]
) -> None:
    boot = DirectKernel(Path("/k"), Path("/i"), command_line)
    assert dataclasses.replace(machine(chipset), boot=boot).qemu_arguments() == arguments


def test_arguments_of_qemu_are_in_the_xml_and_our_monitor_can_be_removed() -> None:
    monitor = ("-chardev", "socket,id=tonnage.monitor,path=/m", "-mon", "chardev=tonnage.monitor")
    domain = ET.fromstring(domain_xml(machine(), PATHS, (), (*monitor, "-machine", "pit=off")))
    argument = "{http://libvirt.org/schemas/domain/qemu/1.0}arg"
    values = [each.get("value") for each in domain.iter(argument)]
    assert values == [*monitor, "-machine", "pit=off"]
    remove_monitor(domain)
    assert [each.get("value") for each in domain.iter(argument)] == ["-machine", "pit=off"]


def test_libvirt_chooses_missing_paths() -> None:
    domain = ET.fromstring(domain_xml(machine(), {}))
    console, channel = domain.find("devices/serial"), domain.find("devices/channel/source")
    assert console is not None
    assert console.get("type") == "pty"
    assert channel is not None
    assert channel.get("path") is None


def test_the_27th_disk_has_two_letters() -> None:
    many = dataclasses.replace(machine(), disks=tuple(Disk(Path(f"/d/{n}")) for n in range(28)))
    names = [target.get("dev") for target in ET.fromstring(domain_xml(many, {})).iter("target")]
    assert names[25:28] == ["vdz", "vdaa", "vdab"]


DISK = Disk(Path("/d/one.qcow2"))
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": "a/b"}, "name must be up to 48 letters, digits"),
    ({"name": 7}, "name must be text, not 7"),
    ({"vcpus": 0}, "vcpus must be 1 to 255, not 0"),
    ({"vcpus": True}, "vcpus must be a whole number, not True"),
    ({"memory_mib": 1}, "memory_mib must be at least 16, not 1"),
    ({"accelerator": "kvm"}, "accelerator must be an Accelerator"),
    ({"chipset": "isapc"}, "chipset must be q35, i440fx or microvm, not 'isapc'"),
    ({"channels": ("a", "b c")}, r"channels\[1\] must be letters, digits"),
    ({"channels": ("a", "a")}, "channels contains a twice"),
    ({"disks": (DISK, DISK)}, "disks contains /d/one.qcow2 twice"),
    ({"disks": (Disk(Path("/d"), cache="fast"),)}, r"disks\[0\].cache must be none, writeback"),  # type: ignore[arg-type]
    ({"disks": (Disk(Path("/d"), io="native"),)}, r"disks\[0\].io native needs cache none"),
    ({"disks": (Disk(Path("/d"), serial="a b"),)}, r"disks\[0\].serial must be up to 20"),
    ({"boot": Firmware(secure_boot=True)}, "boot.secure_boot needs uefi"),
    ({"boot": Firmware(), "disks": ()}, "disks is empty: add a disk or a CD-ROM to boot from"),
    ({"boot": None}, "boot must be a DirectKernel or a Firmware"),
    ({"cpu": Cpu(topology=Topology(cores=3))}, "cpu.topology has 3 CPUs, but the machine has 2"),
    ({"cpu": Cpu(maximum=1)}, r"cpu.maximum \(1\) is less than vcpus \(2\)"),
    ({"cpu": Cpu(pins={2: "0"})}, "cpu.pins names vCPU 2, but the last vCPU is 1"),
    ({"cpu": Cpu(pins={0: "all"})}, r"cpu.pins\[0\] must be a list of CPUs such as 0-3,6"),
    (
        {"memory": Memory(maximum_mib=128)},
        r"memory.maximum_mib \(128\) is less than memory_mib \(256\)",
    ),
    ({"memory": Memory(shared=True)}, "memory.shared needs source memfd or file"),
    (
        {"memory": Memory(huge_page_kib=1048576)},
        "memory_mib must be a multiple of memory.huge_page",
    ),
    ({"balloon": Balloon(statistics_seconds=-1)}, "balloon.statistics_seconds must be at least 0"),
    ({"vsock": Vsock(2)}, "vsock.context_id must be 3 to 4294967294"),
    ({"shares": (Share(Path("/"), "a b"),)}, r"shares\[0\].tag must be up to 31 letters"),
    (
        {"shares": (Share(Path("/"), "a", read_only=True),)},
        r"shares\[0\].read_only needs driver 9p",
    ),
    ({"networks": (UserNetwork((Forward(0, 1),)),)}, r"networks\[0\].forwards\[0\].host must be 1"),
    (
        {"networks": (UserNetwork((Forward(1, 1), Forward(1, 2))),)},
        r"networks\[0\].forwards name a port twice",
    ),
    ({"networks": (UserNetwork(mac="x"),)}, r"networks\[0\].mac must be a unicast address"),
    ({"chipset": "microvm", "boot": Firmware()}, "boot on a microvm must be a kernel without uefi"),
    ({"chipset": "microvm", "cdroms": (Cdrom(),)}, "cdroms is not supported on a microvm"),
    ({"chipset": "microvm", "watchdog": Watchdog()}, "watchdog is not supported on a microvm"),
    ({"chipset": "microvm", "video": "vga"}, "video is not supported on a microvm"),
    ({"chipset": "microvm", "cpu": Cpu(maximum=2)}, "cpu.maximum is not supported on a microvm"),
    (
        {"chipset": "microvm", "memory": Memory(maximum_mib=512)},
        "memory.maximum_mib is not supported on a microvm",
    ),
    (
        {"chipset": "microvm", "shares": (Share(Path("/"), "a"),)},
        "shares on a microvm must have driver 9p",
    ),
    ({}, "there is no file /k/vmlinuz"),
    (
        {
            "boot": DirectKernel(Path(__file__), None),
            "disks": (),
            "shares": (Share(Path("/no/such"), "a"),),
        },
        "there is no directory /no/such",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=lambda value: str(value)[:40])
def test_an_impossible_machine_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MachineError, match=sentence) as refused:
        dataclasses.replace(machine(), **changes).check()
    assert str(refused.value).endswith(".")


def test_a_possible_machine_is_not_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for each in MACHINES.values():
        boot = each.boot
        if isinstance(boot, DirectKernel):
            boot = dataclasses.replace(boot, kernel=file, initrd=boot.initrd and file)
        disks = tuple(dataclasses.replace(disk, path=file, read_only=True) for disk in each.disks)
        shares = tuple(dataclasses.replace(share, directory=tmp_path) for share in each.shares)
        cdroms = tuple(Cdrom(file) for _ in each.cdroms)
        dataclasses.replace(each, boot=boot, disks=disks, shares=shares, cdroms=cdroms).check()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "reboot=t"),
        ("quiet", "quiet reboot=t"),
        ("reboot=k quiet", "reboot=k quiet"),
        ("a.reboot=k", "a.reboot=k reboot=t"),
    ],
)
def test_a_microvm_restarts_by_a_triple_fault_unless_it_is_told_how(
    line: str, expected: str
) -> None:
    boot = DirectKernel(Path("/k/vmlinuz"), None, line)
    microvm = dataclasses.replace(MACHINES["microvm-tcg"], boot=boot)
    assert f"<cmdline>{expected}</cmdline>" in domain_xml(microvm, PATHS)
    assert "reboot=t" not in domain_xml(dataclasses.replace(MACHINES["q35-tcg"], boot=boot), PATHS)
