"""Whether KVM runs a Linux guest here: proved by booting one, once per boot of the host.

There are hosts on which /dev/kvm opens, KVM_CREATE_VM works and firmware runs, and a Linux guest
then hangs, or QEMU aborts on an MSR. So nothing is inferred: a tiny guest is booted against a
deadline, by its compressed kernel and, if that is not heard, by the uncompressed one.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from lab.errors import LabError
from lab.paths import cache_directory
from lab.userland import guest_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

Accelerator = Literal["kvm", "tcg"]

DEADLINE_SECONDS = 8.0
_DEVICE = Path("/dev/kvm")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether KVM works, None if that was not tried; and the sentence that says why.

    With `needs_pvh` it runs what QEMU loads uncompressed, and nothing that boots otherwise.
    """

    works: bool | None
    reason: str
    needs_pvh: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    boot: str
    verdict: Verdict
    ways: int = 1  # in which a guest was tried: earlier versions knew one


_WAYS = 2


def prove(progress: Callable[[str], None]) -> Verdict:
    """The verdict for this boot of the host, from the cache if it was reached before."""
    if not _DEVICE.exists():
        return Verdict(False, "there is no /dev/kvm")
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return Verdict(False, "/dev/kvm can't be opened by this user")
    if verdict := recall():
        return verdict
    if not shutil.which("qemu-system-x86_64"):
        return Verdict(None, "not tried: QEMU is not installed")
    verdict = _boot(progress)
    if verdict.works is not None:
        _keep(verdict)
    return verdict


def accelerator(progress: Callable[[str], None]) -> Accelerator:
    """What machines run by here: KVM where it works, else emulation."""
    return "kvm" if prove(progress).works else "tcg"


def needs_pvh() -> bool:
    """Return True if KVM was found here to run uncompressed kernels alone."""
    verdict = recall()
    return bool(verdict and verdict.works and verdict.needs_pvh)


def cpu_flag() -> str:
    """What the CPU shows of virtualization: vmx, svm, or nothing. (proc_cpuinfo(5))"""
    words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return next((flag for flag in ("vmx", "svm") if flag in words), "")


def kept() -> Path:
    """The file that keeps the verdict."""
    return cache_directory() / "kvm.json"


def recall() -> Verdict | None:
    """The verdict that was reached since the host came up, if one was and was kept."""
    try:
        found = msgspec.json.decode(kept().read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError):
        return None
    is_known = found.verdict.works or found.ways == _WAYS
    return found.verdict if is_known and found.boot == _this_boot() else None


def _keep(verdict: Verdict) -> None:
    aside = kept().with_name(f".{kept().name}.{os.getpid()}")
    with suppress(
        OSError
    ):  # a full disk costs the next run a few seconds, not this one its verdict
        try:
            aside.write_bytes(msgspec.json.encode(_Kept(_this_boot(), verdict, _WAYS)))
            aside.rename(kept())
        finally:
            aside.unlink(missing_ok=True)


def _this_boot() -> str:
    return _BOOT_ID.read_text(encoding="utf-8").strip()


def _boot(progress: Callable[[str], None]) -> Verdict:
    from vms import MachineError
    from vms.qemu import acceleration

    try:
        kernel, initramfs = guest_kernel.probe_machine(progress)
    except (LabError, MachineError) as error:
        return Verdict(None, f"not tried: no guest to boot ({str(error).rstrip('.')})")
    progress("booting a tiny guest under KVM, to see whether it runs")
    found = acceleration.prove_kvm(
        kernel, initramfs, DEADLINE_SECONDS, lambda: guest_kernel.uncompressed(kernel, progress)
    )
    return Verdict(found.works, found.reason, found.needs_pvh)
