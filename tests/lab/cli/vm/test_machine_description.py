"""The machine that options describe."""

from __future__ import annotations

import gzip
import json
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli.vm import machine_description, machine_options
from lab.host import kvm
from lab.userland import kvm_probe
from vms import (
    Balloon,
    Cdrom,
    DirectKernel,
    Disk,
    Firmware,
    Forward,
    HostBridge,
    LibvirtNetwork,
    Share,
    UserNetwork,
)

if TYPE_CHECKING:
    from vms import Machine

pytestmark = pytest.mark.usefixtures("clean_state")


def describe(*words: str) -> Machine:
    options = machine_options.parser().parse_args(["--accel", "tcg", *words])
    return machine_description.machine(options, Path.cwd())


def test_options_describe_a_machine(tmp_path: Path) -> None:
    machine = describe(
        "--name", "box", "--cpus", "2", "--memory", "2G", "--machine", "i440fx", "--uefi",
        "--disk", "/d/a.raw,format=raw,cache=none,io=native,read_only,serial=one",
        "--network", "passt", "--network", "net:isolated", "--network", "bridge:br0",
        "-p", "8080:80", "-p", "0.0.0.0:53:5353/udp",
        "-v", f"{tmp_path}:here", "-v", f"{tmp_path}:there:ro",
    )  # fmt: skip
    assert (machine.name, machine.vcpus, machine.memory_mib, machine.chipset) == (
        "box",
        2,
        2048,
        "i440fx",
    )
    assert machine.boot == Firmware("uefi")
    assert machine.disks == (
        Disk(Path("/d/a.raw"), "raw", "none", "native", read_only=True, serial="one"),
    )
    assert machine.networks == (
        UserNetwork((Forward(8080, 80), Forward(53, 5353, "udp", "0.0.0.0")), backend="passt"),
        LibvirtNetwork("isolated"),
        HostBridge("br0"),
    )
    assert machine.shares == (
        Share(tmp_path, "here"),
        Share(tmp_path, "there", "9p", read_only=True),
    )
    assert machine.balloon == Balloon()


def test_media_and_addresses(tmp_path: Path) -> None:
    machine = describe(
        "--cdrom", "i.iso", "--cdrom", "/j.iso", "--network", "user", "--network", "none",
        "--network", "passt", "--mac", "52:54:00:AA:BB:CC",
    )  # fmt: skip
    assert machine.cdroms == (Cdrom(tmp_path / "i.iso"), Cdrom(Path("/j.iso")))
    assert [card.mac for card in machine.networks] == ["52:54:00:AA:BB:CC", None]


def test_a_key_makes_a_seed(tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake me\n")
    machine = describe("--disk", "/d/a.qcow2", "--ssh-key", str(key))
    assert machine.disks[1] == Disk(tmp_path / "seed.iso", "raw", read_only=True)
    assert b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake me" in (tmp_path / "seed.iso").read_bytes()


@pytest.fixture
def _pvh_alone(clean_state: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Simulate a host whose KVM boots uncompressed kernels only."""
    (tmp_path / "device").touch()
    monkeypatch.setattr(kvm_probe, "_DEVICE", tmp_path / "device")
    kvm.verdict_path().parent.mkdir(parents=True)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    verdict = {"works": True, "reason": "as kept", "needs_pvh": True}
    kvm.verdict_path().write_text(json.dumps({"boot": boot, "verdict": verdict}))


def kernel_file(path: Path) -> Path:
    """Write a compressed kernel whose ELF image is only a magic number."""
    payload = gzip.compress(b"\x7fELF and more")
    image = bytearray(2 * 512)
    image[0x1F1], image[0x202:0x206] = 1, b"HdrS"
    image[0x248:0x250] = struct.pack("<II", 0, len(payload))
    path.write_bytes(bytes(image) + payload)
    return path


@pytest.mark.usefixtures("_pvh_alone")
@pytest.mark.parametrize(
    ("words", "accelerator", "unpacked"),
    [
        (["--kernel", "vmlinuz"], "kvm", True),
        (["--kernel", "vmlinuz", "--accel", "tcg"], "tcg", False),
        (["--kernel", "elf"], "kvm", False),
        (["--kernel", "vmlinuz", "--uefi"], "tcg", False),
        (["--disk", "/d/a.qcow2"], "tcg", False),
    ],
)
def test_where_kvm_runs_uncompressed_kernels_alone_machines_use_it_for_these(
    words: list[str], accelerator: str, unpacked: bool, tmp_path: Path
) -> None:
    kernel_file(tmp_path / "vmlinuz")
    (tmp_path / "elf").write_bytes(b"\x7fELF")
    options = machine_options.parser().parse_args(words)
    machine = machine_description.machine(options, tmp_path)
    assert machine.accelerator.value == accelerator
    if isinstance(machine.boot, DirectKernel):
        assert (machine.boot.kernel == tmp_path / "vmlinux") is unpacked
    assert (tmp_path / "vmlinux").exists() is unpacked


def test_a_path_may_hold_commas_and_colons(tmp_path: Path) -> None:
    odd = tmp_path / "a, b:c"
    odd.mkdir()
    (odd / "i,1.raw").touch()
    machine = describe(
        "--disk", f"{odd}/i,1.raw,format=raw", "--disk", f"{odd}/i,1.raw,read_only",
        "-v", f"{odd}:tag:ro",
    )  # fmt: skip
    assert [disk.path for disk in machine.disks] == [odd / "i,1.raw"] * 2
    assert (machine.disks[0].format, machine.disks[1].read_only) == ("raw", True)
    assert machine.shares == (Share(odd, "tag", "9p", read_only=True),)


def test_a_path_that_xml_cannot_express_is_linked(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    machine = describe("--disk", f"{odd}/i.qcow2", "--kernel", f"{odd}/k", "-v", f"{odd}:tag")
    assert isinstance(machine.boot, DirectKernel)
    for path in (machine.disks[0].path, machine.boot.kernel, machine.shares[0].directory):
        assert str(path).isascii()
        assert path.readlink().parent == odd or path.readlink() == odd
        path.unlink()


def test_the_path_of_a_kernel_is_made_absolute(tmp_path: Path) -> None:
    machine = describe("--kernel", "k", "--initrd", "i")
    assert machine.boot == DirectKernel(
        tmp_path / "k",
        tmp_path / "i",
        machine.boot.command_line,  # type: ignore[union-attr]
    )
