"""Firecracker and cloud-hypervisor: their configuration, and why they are absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import targets
from lab.host import kvm
from lab.network import tap
from lab.targets.base import Settings
from lab.targets.machines import vsock_vmms
from lab.userland import kvm_probe
from lab.userland.build import Userland
from tests.lab.programs import program
from tests.lab.targets.machines.described import MACHINE

if TYPE_CHECKING:
    pass


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


def test_firecrackers_configuration_has_the_fields_of_its_api() -> None:
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


def test_firecracker_gets_a_configuration_file(tmp_path: Path) -> None:
    words = target_of("firecracker", tmp_path).command_line(MACHINE, Path("/where/v"))
    file = tmp_path / "firecracker/firecracker.json"
    assert words == ["firecracker", "--id", MACHINE.name, "--no-api", "--config-file", str(file)]
    assert json.loads(file.read_text()) == vsock_vmms.configuration(MACHINE, Path("/where/v"))


def test_cloud_hypervisor_gets_its_configuration_as_options(tmp_path: Path) -> None:
    words = target_of("cloud-hypervisor", tmp_path).command_line(MACHINE, Path("/where/v"))
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options == {
        "--kernel": "/k", "--initramfs": "/i", "--cmdline": "quiet TONNAGE_ROOT=/dev/vda",
        "--cpus": "boot=2", "--memory": "size=96M", "--disk": "path=/d",
        "--net": "tap=tap0,mac=52:54:00:10:02:15", "--vsock": "cid=3,socket=/where/v",
        "--serial": "tty", "--console": "off",
    }  # fmt: skip
