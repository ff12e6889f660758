"""Test that KVM runs a Linux guest, and kernel parameters for a guest under emulation."""

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
# struct kvm_msrs with one entry: count, padding; index, reserved, value. (linux/kvm.h)
_MSR = struct.Struct("=IIIIQ")
_ARCH_CAPABILITIES = 0x10A
_MARKER = b"first-instruction"
_MEGAHERTZ = re.compile(r"^cpu MHz\s*:\s*([\d.]+)", re.MULTILINE)
_REFINED = re.compile(r"tsc: (?:Refined TSC clocksource calibration:|Detected) ([\d.]+) MHz")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a test boot: whether the accelerator works, and the reason.

    With `needs_pvh` it runs only guests whose kernel is uncompressed.
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
    """Boot a tiny Linux guest under KVM; KVM works if the guest's init prints its line in time.

    If a guest with the compressed kernel prints nothing, boot the kernel that `uncompressed`
    returns by its PVH entry, which begins in protected mode: a KVM that can't run the real mode of
    the kernel's setup code, or its decompressor, may still run the rest. Each guest runs in a child
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
        reason = str(error).rstrip(".")
        return Verdict(False, f"{plain.reason}; an uncompressed kernel was not tried ({reason})")
    by_pvh = boots(unpacked, initramfs, deadline_seconds)
    if by_pvh.works:
        return Verdict(
            True,
            f"{by_pvh.reason}, only from an uncompressed kernel (PVH); from a compressed kernel"
            f" {plain.reason}",
            needs_pvh=True,
        )
    return Verdict(False, f"{plain.reason}; from an uncompressed kernel (PVH): {by_pvh.reason}")


def boots(
    kernel: Path, initramfs: Path, deadline_seconds: float, accelerator: str = "kvm"
) -> Verdict:
    """Boot a tiny Linux guest from either kind of kernel, and wait for the line of its init."""
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
        is_running = _prints_marker(child, begin + deadline_seconds)
        exit_code = child.poll()
    finally:
        child.kill()
        _, stderr = child.communicate()
    if is_running:
        return Verdict(True, f"a Linux guest ran in {time.monotonic() - begin:.2f} s")
    if exit_code is None:
        return Verdict(False, f"a Linux guest hung: no output within {deadline_seconds:.0f} s")
    lines = stderr.decode(errors="replace").strip().splitlines()
    return Verdict(False, f"QEMU ended: {lines[-1] if lines else f'exit code {exit_code}'}")


@functools.cache
def broken_features() -> tuple[str, ...]:
    """Return CPU features that KVM offers on this host but QEMU aborts on when a guest gets them.

    A host that is itself a virtual machine may list an MSR and then refuse to set it. The test sets
    an MSR on a vCPU that never runs. (Linux, Documentation/virt/kvm/api.rst, KVM_SET_MSRS)
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
            return ()  # without a working KVM there is nothing to switch off
    return () if was_set else ("arch-capabilities",)


def _prints_marker(child: subprocess.Popen[bytes], deadline: float) -> bool:
    assert child.stdout is not None
    output = b""
    poll = select.poll()
    poll.register(child.stdout, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0 and poll.poll(left * 1000):
        data = os.read(child.stdout.fileno(), 4096)
        output += data
        if _MARKER in output:
            return True
        if not data:
            break
    return False


def kernel_words() -> str:
    """Return the kernel parameters of an emulated guest; empty if the frequency is unknown.

    They name the frequency of the time stamp counter and declare it reliable, since all clocks of
    an emulated machine have one source. On a busy host the guest would otherwise distrust it and
    fall back to counting ticks, 250 a second even when idle: a hundred guests then keep two CPUs
    busy. (Linux, kernel-parameters.txt)
    """
    khz = tsc_khz()
    return f"tsc_early_khz={khz} tsc=reliable" if khz else ""


def tsc_khz() -> int:
    """Return the frequency of the host's time stamp counter, or 0 if it is unknown.

    QEMU's emulation passes this counter to its guest. A guest measures it against a timer that
    emulation does not run steadily. On `microvm`, which has no second timer, a guest whose
    measurement fails hangs before its first output: one boot in six on a busy host. A guest that is
    given the frequency (the kernel's `tsc_early_khz=`) does not measure it.
    (Linux, arch/x86/kernel/tsc.c)
    """
    megahertz = _REFINED.findall(_kernel_log())
    cpu_info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    # On hardware, "cpu MHz" is the core's present clock, not the counter's frequency.
    if not megahertz and " hypervisor" in cpu_info:
        megahertz = _MEGAHERTZ.findall(cpu_info)
    return round(float(megahertz[-1]) * 1000) if megahertz else 0


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
