"""The traditional machine, configured for performance. (Felter et al., 2014)

Each vCPU is pinned to a CPU of the host, and the guest sees their topology. The memory uses huge
pages if the host has reserved enough of them. The disk bypasses the host's page cache, by io_uring
if the kernel has it, in a thread of its own. A network card on a bridge has a queue for each vCPU.
"""

from __future__ import annotations

import errno
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import vms
from lab.targets.machines.machine import FullMachine
from runtime.linux import cpu_list
from runtime.linux.libc import syscall

if TYPE_CHECKING:
    from lab.targets.base import Allotment, Attachment, Settings

_HUGE_PAGE_KIB = 2048
_FREE = Path(f"/sys/kernel/mm/hugepages/hugepages-{_HUGE_PAGE_KIB}kB/free_hugepages")
_SETUP = 425  # io_uring_setup, the same on all architectures


class TunedMachine(FullMachine):
    """`vm` with as many vCPUs as the host has CPUs, and the settings of this module."""

    name = "vm-tuned"
    image_refusal = "it is tuned for the workloads of the common user land"
    attachments: tuple[Attachment, ...] = ("bridge",)

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.card_queues = len(os.sched_getaffinity(0))

    def describe(self, name: str, disk: Path, allotment: Allotment | None = None) -> vms.Machine:
        """Return the description of `vm`, tuned."""
        plain = super().describe(name, disk, allotment)
        cpus = sorted(os.sched_getaffinity(0))
        vcpus = math.ceil(allotment.cpus) if allotment else len(cpus)
        (system,) = plain.disks
        return replace(
            plain,
            vcpus=vcpus,
            cpu=replace(
                plain.cpu,
                topology=_topology(vcpus, cpus),
                pins={number: str(cpus[number % len(cpus)]) for number in range(vcpus)},
            ),
            memory=replace(plain.memory, huge_page_kib=_huge_page_kib(plain.memory_mib)),
            disks=(replace(system, cache="none", io=_best_io(), own_thread=True),),
        )


def _topology(vcpus: int, cpus: list[int]) -> vms.Topology:
    """Return threads of one core if the host's CPUs are that and divide evenly, or else cores."""
    siblings = Path(f"/sys/devices/system/cpu/cpu{cpus[0]}/topology/thread_siblings_list")
    text = siblings.read_text(encoding="utf-8").strip() if siblings.exists() else ""
    threads = len(cpu_list.parse(text)) or 1
    if vcpus % threads or cpus[:threads] != list(range(cpus[0], cpus[0] + threads)):
        threads = 1
    return vms.Topology(cores=vcpus // threads, threads=threads)


def _huge_page_kib(memory_mib: int) -> int | None:
    """Return the huge page size if enough pages are free, else None; the host is not changed."""
    free = int(_FREE.read_text(encoding="utf-8")) if _FREE.exists() else 0
    return _HUGE_PAGE_KIB if free * _HUGE_PAGE_KIB >= memory_mib * 1024 else None


def _best_io() -> Literal["native", "io_uring"]:
    """Return `io_uring` if the kernel permits it, else `native`. (io_uring_setup(2))"""
    try:
        syscall(_SETUP, 1, None)
    except OSError as error:
        return "io_uring" if error.errno == errno.EFAULT else "native"
    return "native"
