"""Facts about KVM on this host: the stored verdict of the probe, and the CPU's flag.

The probe itself boots a guest (lab.userland.kvm_probe). Its verdict is stored, and is valid until
the host reboots.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from lab.paths import cache_directory

Accelerator = Literal["kvm", "tcg"]
AcceleratorChoice = Literal["auto", "kvm", "tcg"]  # as a user asks for it

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# A probe tries this many kernels, a compressed and an uncompressed one. Versions before the second
# was added stored failures of the first alone; those are not believed.
_KERNELS_TRIED = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of the probe: `works` is None if it was not run; `reason` is a sentence part.

    With `needs_pvh`, KVM runs a kernel that QEMU loads uncompressed (PVH), and nothing that boots
    in another way.
    """

    works: bool | None
    reason: str
    needs_pvh: bool = False


@dataclass(frozen=True, slots=True)
class _Stored:
    boot: str
    verdict: Verdict
    ways: int = 1


def recall() -> Verdict | None:
    """Return the verdict that was stored since the host booted; None if there is none."""
    try:
        stored = msgspec.json.decode(verdict_path().read_bytes(), type=_Stored)
    except (OSError, msgspec.DecodeError):
        return None
    is_complete = stored.verdict.works or stored.ways == _KERNELS_TRIED
    return stored.verdict if is_complete and stored.boot == _boot_id() else None


def store(verdict: Verdict) -> None:
    """Store the verdict for this boot of the host.

    An error is ignored: on a full disk, the next run probes again, which takes a few seconds.
    """
    path = verdict_path()
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):
        try:
            aside.write_bytes(msgspec.json.encode(_Stored(_boot_id(), verdict, _KERNELS_TRIED)))
            aside.rename(path)
        finally:
            aside.unlink(missing_ok=True)


def needs_pvh() -> bool:
    """Return True if the stored verdict says that KVM runs uncompressed kernels only."""
    verdict = recall()
    return bool(verdict and verdict.works and verdict.needs_pvh)


def cpu_flag() -> str:
    """Return the CPU's virtualization flag: vmx, svm, or empty. (proc_cpuinfo(5))"""
    words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return next((flag for flag in ("vmx", "svm") if flag in words), "")


def verdict_path() -> Path:
    """Return the path of the stored verdict."""
    return cache_directory() / "kvm.json"


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="utf-8").strip()
