"""Machines that between them exercise every property that a machine can have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vms import (
    Accelerator,
    Balloon,
    Cdrom,
    Cpu,
    DirectKernel,
    Disk,
    Firmware,
    Forward,
    HostBridge,
    LibvirtNetwork,
    Machine,
    Memory,
    Rng,
    Share,
    Topology,
    UserNetwork,
    Vsock,
    Watchdog,
)
from vms.description import Chipset

PATHS = {
    "console": Path("/r/s/box.0"),
    "tonnage.events": Path("/r/s/box.1"),
    "tonnage.agent": Path("/r/s/box.2"),
    "nvram": Path("/r/s/box.3"),
}


def machine(chipset: Chipset = "q35", accelerator: Accelerator = Accelerator.TCG) -> Machine:
    """Return the machine that the lab measures."""
    return Machine(
        name="box",
        vcpus=2,
        memory_mib=256,
        accelerator=accelerator,
        chipset=chipset,
        boot=DirectKernel(Path("/k/vmlinuz"), Path("/k/initramfs"), "console=ttyS0 <&>"),
        disks=(Disk(Path("/d/one.qcow2")), Disk(Path("/d/two.raw"), format="raw", cache="none")),
        channels=("tonnage.events", "tonnage.agent"),
        networks=(UserNetwork((Forward(7001, 7000),)),),
        spare_ports=0 if chipset == "q35" else 8,  # no effect on other chipsets
    )


def described() -> dict[str, Machine]:
    """Return machines by the names of their golden files."""
    plain = Machine("box", 1, 64, Accelerator.KVM, "q35", DirectKernel(Path("/k/vmlinuz"), None))
    uefi = Firmware("uefi")
    measured = {
        f"{chipset}-{accelerator.value}": machine(chipset, accelerator)
        for chipset in ("q35", "i440fx", "microvm")
        for accelerator in Accelerator
    }
    return measured | {
        "plain": plain,
        "cpu": replace(
            plain,
            vcpus=2,
            cpu=Cpu(
                topology=Topology(sockets=2, cores=2, threads=2),
                maximum=8,
                pins={0: "0", 1: "1-3,5"},
                emulator_pin="0",
                without=("avx512f", "arch-capabilities"),
            ),
        ),
        "memory": replace(
            plain,
            memory=Memory(
                maximum_mib=512,
                source="memfd",
                shared=True,
                locked=True,
                huge_page_kib=2048,
                mergeable=False,
                transparent_huge_pages=False,
            ),
            balloon=Balloon(statistics_seconds=5, free_page_reporting=False, deflate_on_oom=False),
        ),
        "memory-room": replace(
            plain, vcpus=1, memory=Memory(maximum_mib=512), cpu=Cpu(maximum=4)
        ),
        "memory-file": replace(plain, memory=Memory(source="file"), balloon=Balloon()),
        "uefi": replace(plain, boot=uefi, disks=(Disk(Path("/d/a")), Disk(Path("/d/b")))),
        "uefi-secure": replace(
            plain, boot=Firmware("uefi", secure_boot=True), disks=(Disk(Path("/d/a")),)
        ),
        "uefi-kernel": replace(
            plain, boot=DirectKernel(Path("/k/vmlinuz"), Path("/k/i"), "quiet", uefi)
        ),
        "bios": replace(plain, chipset="i440fx", boot=Firmware(), disks=(Disk(Path("/d/a")),)),
        "disks": replace(
            plain,
            disks=(
                Disk(Path("/d/a"), cache="none", io="native", discard=True, serial="first"),
                Disk(Path("/d/b"), cache="writethrough", io="threads"),
                Disk(Path("/d/c"), cache="unsafe", io="io_uring", own_thread=True),
                Disk(Path("/d/d"), cache="directsync", read_only=True),
            ),
        ),
        "networks": replace(
            plain,
            networks=(
                UserNetwork(
                    (Forward(53, 5353, "udp", "127.0.0.2"), Forward(8080, 80)),
                    backend="passt",
                    mac="52:54:00:00:00:01",
                ),
                LibvirtNetwork(),
                LibvirtNetwork("isolated", mac="52:54:00:00:00:02"),
                HostBridge("br0", mac="52:54:00:00:00:03", queues=2),
            ),
        ),
        "shares": replace(
            plain,
            shares=(
                Share(Path("/srv"), "srv"),
                Share(Path("/etc"), "etc", driver="9p", read_only=True),
            ),
        ),
        "microvm-all": replace(
            plain,
            chipset="microvm",
            networks=(LibvirtNetwork(),),
            shares=(Share(Path("/etc"), "etc", driver="9p"),),
            balloon=Balloon(),
            rng=Rng(),
            vsock=Vsock(),
        ),
        "extras": replace(
            plain,
            watchdog=Watchdog(),
            rng=Rng(bytes_per_second=1024),
            vsock=Vsock(context_id=42),
            video="virtio",
            panic_notifier=True,
            on_reboot="restart",
            on_crash="preserve",
        ),
        "cdroms": replace(
            plain, boot=Firmware(), disks=(Disk(Path("/d/a")),), cdroms=(Cdrom(Path("/d/i.iso")),)
        ),
        "cdrom-alone": replace(plain, chipset="i440fx", boot=Firmware(), cdroms=(Cdrom(),)),
        "screen-vga": replace(plain, video="vga", on_crash="restart"),
        "screen-bochs": replace(plain, video="bochs"),
        **{
            f"watchdog-{action}": replace(plain, watchdog=Watchdog(action))
            for action in ("shutdown", "poweroff", "pause", "none", "inject-nmi")
        },
    }  # fmt: skip
