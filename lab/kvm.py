"""Whether KVM runs a Linux guest here: proved by booting one, once per boot of the host.

There are hosts on which /dev/kvm opens, KVM_CREATE_VM works and firmware runs, and a Linux guest
then hangs, or QEMU aborts on an MSR. So nothing is inferred: a tiny guest is booted against a
deadline.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab import userland
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_SECONDS = 8.0
_DEVICE = Path("/dev/kvm")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether KVM works, None if that was not tried; and how that was found."""

    works: bool | None
    reason: str


def prove(progress: Callable[[str], None]) -> Verdict:
    """The verdict for this boot of the host, from the cache if it was reached before."""
    if not _DEVICE.exists():
        return Verdict(False, "there is no /dev/kvm")
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return Verdict(False, "/dev/kvm can't be opened: not by this user")
    cache = userland.cache_directory() / f"kvm-{_BOOT_ID.read_text().strip()}.json"
    try:
        return Verdict(**json.loads(cache.read_text()))
    except (OSError, ValueError, TypeError):
        pass
    verdict = _boot(progress)
    if verdict is None:
        return Verdict(None, "not proved: the guest to prove it with could not be built")
    aside = cache.with_name(f".{cache.name}.{os.getpid()}")
    try:
        aside.write_text(json.dumps(asdict(verdict)))
        aside.rename(cache)
    except OSError:
        aside.unlink(missing_ok=True)
    return verdict


def _boot(progress: Callable[[str], None]) -> Verdict | None:
    from vms import accelerators

    try:
        kernel, initramfs = userland.probe_machine(progress)
    except LabError:
        return None
    progress("booting a tiny guest under KVM, to see whether it runs")
    found = accelerators.prove_kvm(kernel, initramfs, DEADLINE_SECONDS)
    return Verdict(found.works, found.reason)
