"""Machine targets besides libvirt: their command lines, and why they are absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vms
from lab import targets
from lab.analysis import summary
from lab.host import kvm
from lab.measurement import run
from lab.network import tap
from lab.results import run_folder
from lab.targets.base import Settings
from lab.targets.machines import uml, vsock_vmms
from lab.userland import kvm_probe
from lab.userland.build import Userland
from tests.lab.plausible import write
from tests.lab.programs import program

if TYPE_CHECKING:
    from collections.abc import Iterator

MACHINE = vms.Machine(
    name="tonnage-box-1-0",
    vcpus=2,
    memory_mib=96,
    accelerator=vms.Accelerator.TCG,
    chipset="microvm",
    boot=vms.DirectKernel(Path("/k"), Path("/i"), "quiet TONNAGE_ROOT=/dev/vda"),
    disks=(vms.Disk(Path("/d")),),
    channels=("tonnage.events", "tonnage.agent"),
)


@pytest.fixture
def path(path: Path) -> Iterator[Path]:
    """A PATH with only qemu-img, and no stored result of the user-mode-linux probe."""
    program(path, "qemu-img")
    uml._incompatibility.cache_clear()
    yield path
    uml._incompatibility.cache_clear()


def test_a_kernel_as_a_process_gets_disk_network_and_lines() -> None:
    numbers = {"console": 5, "tonnage.events": 6, "tonnage.agent": 7}
    words = uml.command_line(MACHINE, Path("/base"), Path("/where"), numbers)
    assert words[0] == "/k"
    assert {
        "mem=96M", "initrd=/i", "ubd0=/d,/base", "umid=tonnage-box-1-0", "uml_dir=/where",
        "con0=fd:0,fd:1", "ssl1=fd:6", "ssl2=fd:7", "quiet", "TONNAGE_ROOT=/dev/vda",
    } <= set(words)  # fmt: skip


def test_user_mode_linux_is_absent_with_its_package(path: Path) -> None:
    cls = targets.find("uml")
    assert cls.absent() == "linux.uml is not installed: apt-get install user-mode-linux"


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("first-instruction 1", ""),
        ("Kernel panic - no room", "its kernel panics on this CPU: Kernel panic - no room"),
    ],
)
def test_user_mode_linux_is_absent_where_its_kernel_panics(
    output: str, reason: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path, "linux.uml", f"echo '{output}'")
    monkeypatch.setattr(tap, "absent", lambda: "")
    monkeypatch.setattr(uml, "build_payload", lambda _: path / "qemu-img")
    assert targets.find("uml").absent() == reason


def test_user_mode_linux_is_absent_without_tap_devices(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path, "linux.uml")
    monkeypatch.setattr(tap, "absent", lambda: "this host has no /dev/net/tun")
    assert targets.find("uml").absent() == "this host has no /dev/net/tun"


def test_virt_install_is_absent_with_its_package(path: Path) -> None:
    cls = targets.find("virt-install")
    program(path, "qemu-system-x86_64")
    assert cls.absent() == "virt-install is not installed: apt-get install virtinst"
    program(path, "virt-install")
    program(path, "libvirtd")
    assert cls.absent() == ""


@pytest.mark.parametrize("name", ["firecracker", "cloud-hypervisor"])
def test_a_vmm_is_absent_where_kvm_runs_no_guest(
    name: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls = targets.find(name)
    assert cls.absent() == f"{name} is not installed"
    program(path, name)
    monkeypatch.setattr(tap, "absent", lambda: "")
    monkeypatch.setattr(kvm_probe, "prove", lambda _: kvm.Verdict(False, "a Linux guest hung"))
    assert cls.absent() == "it needs KVM: a Linux guest hung"
    monkeypatch.setattr(kvm_probe, "prove", lambda _: kvm.Verdict(True, "a Linux guest ran"))
    assert cls.absent() == ""


# The optional and the required fields of firecracker's API. (swagger/firecracker.yaml)
KNOWN = {
    "boot-source": {"boot_args", "initrd_path", "kernel_image_path"},
    "machine-config": {"vcpu_count", "mem_size_mib", "smt", "track_dirty_pages", "cpu_template",
                       "huge_pages"},
    "drives": {"drive_id", "is_root_device", "path_on_host", "partuuid", "is_read_only",
               "cache_type", "rate_limiter", "io_engine", "socket"},
    "network-interfaces": {"iface_id", "host_dev_name", "guest_mac", "rx_rate_limiter",
                           "tx_rate_limiter"},
    "vsock": {"vsock_id", "guest_cid", "uds_path"},
}  # fmt: skip
REQUIRED = {"kernel_image_path", "vcpu_count", "mem_size_mib", "drive_id", "is_root_device",
            "iface_id", "host_dev_name", "guest_cid", "uds_path"}  # fmt: skip


def test_firecrackers_configuration_says_what_its_api_knows() -> None:
    configuration = vsock_vmms.configuration(MACHINE, Path("/where/v"))
    assert set(configuration) == set(KNOWN)
    used = set()
    for section, known in KNOWN.items():
        body = configuration[section]
        for fields in body if isinstance(body, list) else [body]:
            assert isinstance(fields, dict)
            assert set(fields) <= known
            used |= set(fields)
    assert used >= REQUIRED
    assert configuration["machine-config"] == {"vcpu_count": 2, "mem_size_mib": 96}
    assert configuration["vsock"] == {"guest_cid": 3, "uds_path": "/where/v"}


def target_of(name: str, scratch: Path) -> vsock_vmms.VsockMachine:
    land = Userland(*(Path("/nonexistent") for _ in range(7)))
    target = targets.find(name)(Settings(land, scratch, "kvm"))
    assert isinstance(target, vsock_vmms.VsockMachine)
    target.directory.mkdir()
    return target


def test_firecracker_is_told_of_its_configuration_alone(tmp_path: Path) -> None:
    words = target_of("firecracker", tmp_path).command_line(MACHINE, Path("/where/v"))
    file = tmp_path / "firecracker/firecracker.json"
    assert words == ["firecracker", "--id", MACHINE.name, "--no-api", "--config-file", str(file)]
    assert json.loads(file.read_text()) == vsock_vmms.configuration(MACHINE, Path("/where/v"))


def test_cloud_hypervisor_is_told_all_on_its_command_line(tmp_path: Path) -> None:
    words = target_of("cloud-hypervisor", tmp_path).command_line(MACHINE, Path("/where/v"))
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options == {
        "--kernel": "/k", "--initramfs": "/i", "--cmdline": "quiet TONNAGE_ROOT=/dev/vda",
        "--cpus": "boot=2", "--memory": "size=96M", "--disk": "path=/d",
        "--net": "tap=tap0,mac=52:54:00:10:02:15", "--vsock": "cid=3,socket=/where/v",
        "--serial": "tty", "--console": "off",
    }  # fmt: skip


def test_the_quick_profile_leaves_other_machines_out() -> None:
    present, absent = run._choose(None, "quick")
    assert not set(targets.FULL_ONLY) & {*present, *absent}
    present, absent = run._choose(None, "full")
    assert set(targets.FULL_ONLY) <= {*present, *absent}
    assert all(absent.values())


def test_what_runs_without_kvm_is_not_called_emulated(tmp_path: Path) -> None:
    record = run_folder.load(write(tmp_path / "run", accelerator="tcg"))
    assert summary.label("uml", record) == "uml"
    assert summary.label("microvm", record) == "microvm (emulated)"
