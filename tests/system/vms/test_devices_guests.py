"""Devices in real guests: the guest, or the host, finds them as they were described."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vms
from lab.paths import cache_directory
from lab.userland import build
from vms.boot import cloudinit, kernel
from vms.boot.initramfs import build_initramfs
from vms.qemu import acceleration
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root
MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "virtio_net", "ext4", "isofs", "virtiofs",
           "virtio_rng", "virtio_balloon")  # fmt: skip
MIB = 1 << 20
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFake me@here"


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tonnage-", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def connection(embedded: Path) -> Iterator[vms.Connection]:
    with vms.Connection.open(embedded / "l-tested", None, (cache_directory(),)) as opened:
        yield opened


def deadline(seconds: float = 60.0) -> int:
    return time.monotonic_ns() + int(seconds * 1e9)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def everything(
    root: Path, land: build.Userland, connection: vms.Connection, port: int
) -> Iterator[vms.Domain]:
    """A machine with nearly all kinds of devices, booted once."""
    debian_kernel = kernel.fetch(cache_directory() / "kernel")
    build_initramfs(root / "initramfs", land.payload, debian_kernel, MODULES)
    disks.clone(land.disk, root / "disk.qcow2")
    (root / "raw").write_bytes(b"raw as it is".ljust(MIB, b"\0"))
    (root / "share").mkdir()
    (root / "share/here").write_text("from the host")
    cloudinit.write_seed(cloudinit.Seed("everything", (KEY,)), root / "seed")
    words = (
        "console=ttyS0 quiet net.ifnames=0 panic=-1 TONNAGE_ROOT=/dev/vda"
        f" {acceleration.kernel_words()}"
    )
    machine = vms.Machine(
        name="everything",
        vcpus=2,
        memory_mib=256,
        accelerator=vms.Accelerator.TCG,
        chipset="q35",
        boot=vms.DirectKernel(land.kernel, root / "initramfs", words),
        disks=(
            vms.Disk(root / "disk.qcow2", discard=True),
            vms.Disk(root / "raw", format="raw", cache="none", io="native", serial="rawdisk"),
            vms.Disk(root / "seed", format="raw", io="threads", read_only=True),
        ),
        channels=("tonnage.events", "tonnage.agent"),
        networks=(vms.UserNetwork((vms.Forward(port, 7000),), mac="52:54:00:00:00:01"),),
        cpu=vms.Cpu(topology=vms.Topology(sockets=1, cores=2, threads=1), emulator_pin="0"),
        memory=vms.Memory(mergeable=False, transparent_huge_pages=False),
        balloon=vms.Balloon(),
        shares=(vms.Share(root / "share", "here"), vms.Share(root / "share", "old", "9p")),
        watchdog=vms.Watchdog("poweroff"),
        rng=vms.Rng(bytes_per_second=MIB),
        video="vga",
        panic_notifier=True,
    )
    with connection.start(machine) as domain:
        domain.events.wait_for("listening", deadline())
        yield domain
    assert list((connection.root / "s").iterdir()) == []


def inside(domain: vms.Domain, command: str) -> str:
    completed = domain.agent.run(["sh", "-c", command], 30)
    assert completed.exit_code == 0, completed.stderr
    return completed.stdout.decode()


def test_disks_are_as_described(everything: vms.Domain, root: Path) -> None:
    assert inside(everything, "head -c 12 /dev/vdb") == "raw as it is"
    assert inside(everything, "cat /sys/block/vdb/serial") == "rawdisk"
    assert inside(everything, "cat /sys/block/vdc/ro") == "1\n"
    assert inside(everything, "cat /sys/block/vda/queue/discard_max_bytes") != "0\n"
    inside(everything, "printf back | dd of=/dev/vdb conv=notrunc,fsync 2>&1")
    assert (root / "raw").read_bytes().startswith(b"backas it is")


def test_the_guests_kernel_reads_the_seed(everything: vms.Domain) -> None:
    inside(everything, "mkdir -p /run/seed && mount -t iso9660 -o ro /dev/vdc /run/seed")
    assert inside(everything, "ls /run/seed").split() == ["meta-data", "user-data"]
    assert KEY in inside(everything, "cat /run/seed/meta-data")
    assert inside(everything, "blkid -s LABEL -o value /dev/vdc") == "cidata\n"


def test_a_share_goes_both_ways(everything: vms.Domain, root: Path) -> None:
    inside(everything, "mkdir -p /run/here && mount -t virtiofs here /run/here")
    assert inside(everything, "cat /run/here/here") == "from the host"
    inside(everything, "echo from the guest > /run/here/there")
    assert (root / "share/there").read_text() == "from the guest\n"


def test_the_guest_finds_each_device(everything: vms.Domain) -> None:
    """By virtio's device numbers: network, block, console, entropy, balloon, 9p, file system."""
    kinds = inside(everything, "cat /sys/bus/virtio/devices/*/device").split()
    assert {int(kind, 16) for kind in kinds} == {1, 2, 3, 4, 5, 9, 26}
    assert inside(everything, "cat /sys/class/misc/hw_random/rng_current").startswith("virtio_rng")
    assert inside(everything, "cat /sys/class/net/eth0/address") == "52:54:00:00:00:01\n"
    assert inside(everything, "nproc") == "2\n"
    cores = "cat /sys/devices/system/cpu/cpu*/topology/core_cpus_list"
    assert inside(everything, cores).split() == ["0", "1"]
    pci = inside(everything, "cat /sys/bus/pci/devices/*/vendor /sys/bus/pci/devices/*/class")
    assert "0x030000" in pci  # a screen
    assert "0x8086" in pci


def test_a_forwarded_port_answers(everything: vms.Domain, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 30) as client:
        assert client.recv(16) == b"pong\n"


def test_a_forward_of_a_port_in_use_is_refused(
    everything: vms.Domain, connection: vms.Connection, land: build.Userland, port: int
) -> None:
    again = vms.Machine(
        name="again",
        vcpus=1,
        memory_mib=128,
        accelerator=vms.Accelerator.TCG,
        chipset="q35",
        boot=vms.DirectKernel(land.kernel, land.initramfs),
        networks=(vms.UserNetwork((vms.Forward(port, 7000),)),),
    )
    with pytest.raises(vms.InUse, match=f"Can't forward port {port} .* in use"):
        connection.start(again)
    assert connection.running() == [everything]
    assert not list((connection.root / "s").glob("again*"))


def test_memory_is_backed_as_described(everything: vms.Domain) -> None:
    """The kernel merges none of its pages (mg) and makes no huge pages. (proc(5), smaps)"""
    process = Path(f"/proc/{everything.vmm_pid}")
    smaps = (process / "smaps").read_text()
    assert sum(map(int, re.findall(r"AnonHugePages:\s+(\d+)", smaps))) == 0
    assert not re.search(r"VmFlags:.* mg\b", smaps)
    line = (process / "cmdline").read_bytes()
    assert b"mem-merge=off" in line
    assert b'"free-page-reporting":true' in line
    assert (process / "status").read_text().partition("THP_enabled:")[2].split()[0] == "0"


def test_firmware_boots_a_kernel_by_uefi(
    root: Path, land: build.Userland, connection: vms.Connection
) -> None:
    """OVMF has variables of the machine's own, which are removed with the machine."""
    if not Path("/usr/share/OVMF").is_dir():
        pytest.skip("OVMF is not installed: apt-get install ovmf")
    machine = vms.Machine(
        name="uefi",
        vcpus=1,
        memory_mib=256,
        accelerator=vms.Accelerator.TCG,
        chipset="q35",
        boot=vms.DirectKernel(
            land.kernel, land.initramfs, "console=ttyS0 quiet panic=-1", vms.Firmware("uefi")
        ),
        channels=("tonnage.events", "tonnage.agent"),
    )
    with connection.start(machine) as domain:
        variables = connection.paths_of(machine)["nvram"]
        assert variables.stat().st_size > 0
        domain.events.wait_for("listening", deadline(90))
        assert inside_initramfs(domain) == 0
    assert not variables.exists()


def inside_initramfs(domain: vms.Domain) -> int:
    """Return the exit code of the payload, run by itself where no other program exists."""
    return domain.agent.run(["/init", "syscalls", "1"], 30).exit_code


# A program that writes a text to the first serial port and halts: mov dx,3f8; out dx,al; …
TEXT = b"booted by firmware\r\n"
BOOT_SECTOR = (
    bytes.fromhex("fa31c08ed8be1a7cbaf803fcac84c07403eeebf8f4ebfd").ljust(0x1A, b"\x90") + TEXT
).ljust(510, b"\0") + b"\x55\xaa"


@pytest.mark.parametrize("accelerator", list(vms.Accelerator), ids=lambda each: each.value)
def test_firmware_boots_a_disk(
    root: Path, connection: vms.Connection, accelerator: vms.Accelerator
) -> None:
    """SeaBIOS boots a sector of 512 bytes, also under a KVM that can't run Linux."""
    if accelerator is vms.Accelerator.KVM and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("/dev/kvm can't be opened")
    disk = root / f"boot-{accelerator.value}"
    disk.write_bytes(BOOT_SECTOR.ljust(MIB, b"\0"))
    machine = vms.Machine(
        name=f"sector-{accelerator.value}",
        vcpus=1,
        memory_mib=64,
        accelerator=accelerator,
        chipset="i440fx",
        boot=vms.Firmware(),
        disks=(vms.Disk(disk, format="raw"),),
    )
    with connection.start(machine) as domain:
        assert domain.console.wait_for("booted", deadline())
        files = {str(path.readlink()) for path in Path(f"/proc/{domain.vmm_pid}/fd").iterdir()}
        assert ("anon_inode:kvm-vm" in files) == (accelerator is vms.Accelerator.KVM)


def test_passt_forwards_a_port(
    root: Path, land: build.Userland, connection: vms.Connection
) -> None:
    if not shutil.which("passt"):
        pytest.skip("passt is not installed: apt-get install passt")
    port = free_port()
    machine = vms.Machine(
        name="passt",
        vcpus=1,
        memory_mib=128,
        accelerator=vms.Accelerator.TCG,
        chipset="q35",
        boot=vms.DirectKernel(land.kernel, land.initramfs, "console=ttyS0 quiet panic=-1"),
        networks=(vms.UserNetwork((vms.Forward(port, 7000),), backend="passt"),),
    )
    try:
        started = connection.start(machine)
    except vms.MachineError as error:
        assert "this libvirt was built without passt: use slirp" in str(error)
        pytest.skip(str(error))
    with started as domain:
        assert domain.is_running
        with socket.create_connection(("127.0.0.1", port), 5):
            pass


def test_a_lack_of_huge_pages_is_reported(
    root: Path, land: build.Userland, connection: vms.Connection
) -> None:
    machine = vms.Machine(
        name="huge",
        vcpus=1,
        memory_mib=1 << 20,
        accelerator=vms.Accelerator.TCG,
        chipset="q35",
        boot=vms.DirectKernel(land.kernel, land.initramfs, "panic=-1"),
        memory=vms.Memory(huge_page_kib=2048),
    )
    with pytest.raises(vms.MachineError, match=r"Can't start huge: .*huge pages"):
        connection.start(machine)
    assert not list((connection.root / "s").glob("huge*"))
    assert not list((connection.root / "run/qemu").glob("huge*"))
