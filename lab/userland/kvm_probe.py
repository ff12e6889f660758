"""Probe KVM by booting a Linux guest, once per boot of the host.

On some hosts /dev/kvm opens, KVM_CREATE_VM succeeds and firmware runs, but a Linux guest hangs, or
QEMU aborts on an MSR. So nothing is inferred: a tiny guest is booted with a deadline, first with
its compressed kernel and, if that gives no sign of life, with the uncompressed one.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.host import kvm
from lab.host.kvm import Verdict
from lab.userland import guest_kernel

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.host.kvm import Accelerator

DEADLINE_SECONDS = 8.0
_DEVICE = Path("/dev/kvm")


def prove(progress: Callable[[str], None]) -> Verdict:
    """Return the verdict for this boot of the host: the stored one, or that of a probe now."""
    if not _DEVICE.exists():
        return Verdict(False, "there is no /dev/kvm")
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return Verdict(False, "/dev/kvm can't be opened by this user")
    if verdict := kvm.recall():
        return verdict
    if not shutil.which("qemu-system-x86_64"):
        return Verdict(None, "not tried: QEMU is not installed")
    verdict = _boot_guest(progress)
    if verdict.works is not None:
        kvm.store(verdict)
    return verdict


def accelerator(progress: Callable[[str], None]) -> Accelerator:
    """Return `kvm` where KVM works, else `tcg` (emulation)."""
    return "kvm" if prove(progress).works else "tcg"


def _boot_guest(progress: Callable[[str], None]) -> Verdict:
    from vms import MachineError
    from vms.qemu import acceleration

    try:
        kernel, initramfs = guest_kernel.probe_machine(progress)
    except (LabError, MachineError) as error:
        return Verdict(None, f"not tried: no guest to boot ({str(error).rstrip('.')})")
    progress("probing KVM: booting a tiny guest")
    verdict = acceleration.prove_kvm(
        kernel,
        initramfs,
        DEADLINE_SECONDS,
        lambda: guest_kernel.uncompressed(kernel, progress),
    )
    return Verdict(verdict.works, verdict.reason, verdict.needs_pvh)
