"""Whether KVM really runs a Linux guest here, and what a guest must be told under emulation."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import select
import struct
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable

_EMULATOR = "qemu-system-x86_64"
_DEVICE = "/dev/kvm"
_CREATE_VM, _CREATE_VCPU = 0xAE01, 0xAE41
_GET_MSRS, _SET_MSRS = 0xC008AE88, 0x4008AE89
# struct kvm_msrs with one entry: how many, padding; which, reserved, its value. (linux/kvm.h)
_MSR = struct.Struct("=IIIIQ")
_ARCH_CAPABILITIES = 0x10A
_SIGN = b"first-instruction"
_MEGAHERTZ = re.compile(r"^cpu MHz\s*:\s*([\d.]+)", re.MULTILINE)
_REFINED = re.compile(r"tsc: (?:Refined TSC clocksource calibration:|Detected) ([\d.]+) MHz")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an accelerator works, and how that was found.

    With `needs_pvh` it runs a guest whose kernel comes uncompressed, and none other.
    """

    works: bool
    reason: str
    needs_pvh: bool = False


def prove_kvm(
    kernel: Path,
    initramfs: Path,
    deadline_seconds: float,
    uncompressed: Callable[[], Path] | None = None,
) -> Verdict:
    """Boot a tiny Linux guest under KVM; it works if the guest's init is heard in time.

    Where the compressed kernel is not heard, the one that `uncompressed` makes is tried by its PVH
    entry, which begins in protected mode: a KVM that can't run the real mode of the kernel's setup
    code, or the code that decompresses it, may still run the rest. Each guest runs in a child
    process that is killed past the deadline. (Linux, arch/x86/platform/pvh/head.S)
    """
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return Verdict(False, "/dev/kvm can't be opened")
    plain = boots(kernel, initramfs, deadline_seconds)
    if plain.works or uncompressed is None:
        return plain
    try:
        unpacked = uncompressed()
    except MachineError as error:
        why = str(error).rstrip(".")
        return Verdict(False, f"{plain.reason}; an uncompressed kernel was not tried ({why})")
    by_pvh = boots(unpacked, initramfs, deadline_seconds)
    if by_pvh.works:
        return Verdict(
            True,
            f"{by_pvh.reason}, from an uncompressed kernel (PVH) alone; from a compressed one"
            f" {plain.reason}",
            needs_pvh=True,
        )
    return Verdict(False, f"{plain.reason}; from an uncompressed kernel (PVH): {by_pvh.reason}")


def boots(
    kernel: Path, initramfs: Path, deadline_seconds: float, accelerator: str = "kvm"
) -> Verdict:
    """Boot a tiny Linux guest, compressed or by its PVH entry, and listen for its init."""
    cpu = ",-".join(("host", *broken_features())) if accelerator == "kvm" else "max"
    argv = [
        _EMULATOR, "-machine", f"q35,accel={accelerator}", "-cpu", cpu,
        "-m", "256",
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
        "-kernel", str(kernel), "-initrd", str(initramfs),
        "-append", "console=ttyS0 quiet loglevel=1 panic=-1",
    ]  # fmt: skip
    begin = time.monotonic()
    try:
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except FileNotFoundError:
        return Verdict(False, f"{_EMULATOR} is not installed")
    try:
        heard = _hears(child, begin + deadline_seconds)
        ended = child.poll()
    finally:
        child.kill()
        _, said = child.communicate()
    if heard:
        return Verdict(True, f"a Linux guest ran in {time.monotonic() - begin:.2f} s")
    if ended is None:
        return Verdict(False, f"a Linux guest hung: nothing heard within {deadline_seconds:.0f} s")
    lines = said.decode(errors="replace").strip().splitlines()
    return Verdict(False, f"QEMU ended: {lines[-1] if lines else f'exit code {ended}'}")


@functools.cache
def broken_features() -> tuple[str, ...]:
    """CPU features that KVM offers on this host, and QEMU aborts on when a guest gets them.

    A host that is itself a machine may show an MSR and then refuse to set it. So one is set, on a
    vCPU that is never run. (Linux, Documentation/virt/kvm/api.rst, KVM_SET_MSRS)
    """
    message = bytearray(_MSR.pack(1, 0, _ARCH_CAPABILITIES, 0, 0))
    with ExitStack() as stack:
        try:
            kvm = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
            stack.callback(os.close, kvm)
            if not fcntl.ioctl(kvm, _GET_MSRS, message):
                return ()
            machine = fcntl.ioctl(kvm, _CREATE_VM, 0)
            stack.callback(os.close, machine)
            vcpu = fcntl.ioctl(machine, _CREATE_VCPU, 0)
            stack.callback(os.close, vcpu)
            was_set = fcntl.ioctl(vcpu, _SET_MSRS, message)
        except OSError:
            return ()  # no KVM, or none that gets so far: there is nothing to switch off
    return () if was_set else ("arch-capabilities",)


def _hears(child: subprocess.Popen[bytes], deadline: float) -> bool:
    assert child.stdout is not None
    heard = b""
    poll = select.poll()
    poll.register(child.stdout, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0 and poll.poll(left * 1000):
        data = os.read(child.stdout.fileno(), 4096)
        heard += data
        if _SIGN in heard:
            return True
        if not data:
            break
    return False


def kernel_words() -> str:
    """What a guest's kernel is told under emulation; nothing where the host does not know it.

    The counter's frequency, and that it is reliable: all clocks of an emulated machine are one. On
    a busy host a guest would come to doubt it, and fall back to counting ticks, 250 a second, also
    when it idles: of a hundred guests that takes all of two CPUs. (Linux, kernel-parameters.txt)
    """
    khz = tsc_khz()
    return f"tsc_early_khz={khz} tsc=reliable" if khz else ""


def tsc_khz() -> int:
    """The frequency of this host's time stamp counter, which QEMU's emulation hands to its guest.

    A guest measures it against a timer that emulation does not run steadily; on `microvm`, which
    has no second timer, a guest that fails to do so hangs before its first output: in one boot of
    six on a busy host. Told the figure (the kernel's `tsc_early_khz=`), it need not measure.
    0 if it can't be found. (Linux, arch/x86/kernel/tsc.c)
    """
    found = _REFINED.findall(_kernel_log())
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    if not found and " hypervisor" in cpu:  # elsewhere "cpu MHz" is what the core runs at just now
        found = _MEGAHERTZ.findall(cpu)
    return round(float(found[-1]) * 1000) if found else 0


def _kernel_log() -> str:
    try:
        return subprocess.run(
            ["dmesg"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
