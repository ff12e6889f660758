"""What this host is, what it can measure, and what it can't and why: `tonnage doctor`."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lab import kvm, targets

if TYPE_CHECKING:
    from collections.abc import Callable

State = Literal["ok", "limited", "missing"]
Accelerator = Literal["kvm", "tcg"]

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_WANTED_CONTROLLERS = ("cpu", "memory", "pids", "cpuset", "io", "blkio", "devices", "freezer")
_NEEDED_CAPABILITIES = {
    "CAP_SYS_ADMIN": 21,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_CHROOT": 18,
    "CAP_MKNOD": 27,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_SYS_RESOURCE": 24,
    "CAP_SYS_PTRACE": 19,
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing about the host: what it is, how good that is, what it means for measuring."""

    name: str
    value: str
    state: State = "ok"
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """The host as found; `facts` are for people, the rest is for the record."""

    hostname: str
    distribution: str
    kernel: str
    cpus: int
    cpu_model: str
    memory_bytes: int
    cgroup: dict[str, Any]
    kvm: kvm.Verdict
    accelerator: Accelerator
    targets: dict[str, str]
    facts: tuple[Fact, ...]

    def document(self) -> dict[str, Any]:
        """The host as JSON has it."""
        return asdict(self)


def inspect(
    accelerator: Literal["auto", "kvm", "tcg"] = "auto",
    progress: Callable[[str], None] = lambda _: None,
) -> Host:
    """Look at the host. KVM is proved by booting a guest unless the accelerator is given."""
    proved = kvm.prove(progress) if accelerator != "tcg" else kvm.Verdict(None, "not tried")
    chosen: Accelerator = "kvm" if accelerator == "kvm" or proved.works else "tcg"
    cgroup = {"version": _cgroup_version(), "controllers": _controllers()}
    found = {name: targets.find(name).absent() for name in targets.NAMES}
    distribution = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    facts = (
        Fact("distribution", distribution),
        Fact("kernel", platform.release()),
        Fact("CPUs", f"{_cpus()} × {_cpu_model()}", *_virtualised()),
        _memory(),
        Fact("clock", _clock(), "ok" if _clock() in {"tsc", "kvm-clock", "arch_sys_counter"} else
             "limited", "" if _clock() == "tsc" else "times are read from this source"),
        *_privileges(),
        _cgroups(cgroup),
        _file_system("overlay", "containers share their image's layer by it"),
        _user_namespaces(),
        Fact("systemd", *(("yes", "ok", "") if Path("/run/systemd/system").is_dir() else
             ("no", "limited", "cgroups are made by cgroupfs, not by units"))),
        _program("qemu-system-x86_64", "QEMU", "qemu-system-x86", "machines"),
        _libvirt(),
        _program("mmdebstrap", "mmdebstrap", "mmdebstrap", "the common user land"),
        _kvm_fact(accelerator, proved, chosen),
        *(_target(name, why) for name, why in found.items()),
    )  # fmt: skip
    return Host(
        hostname=socket.gethostname(),
        distribution=distribution,
        kernel=platform.release(),
        cpus=_cpus(),
        cpu_model=_cpu_model(),
        memory_bytes=_meminfo("MemTotal"),
        cgroup=cgroup,
        kvm=proved,
        accelerator=chosen,
        targets=found,
        facts=facts,
    )


def show(host: Host) -> None:
    """Print the facts as a table on standard output."""
    from rich.console import Console
    from rich.table import Table

    marks = {"ok": "[green]✓[/]", "limited": "[yellow]![/]", "missing": "[red]✗[/]"}
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "what it means"):
        table.add_column(heading, overflow="fold")
    for fact in host.facts:
        table.add_row(marks[fact.state], fact.name, fact.value, fact.meaning)
    Console().print(table)


def _cpus() -> int:
    return len(os.sched_getaffinity(0))


def _cpu_model() -> str:
    return _cpuinfo("model name") or platform.machine()


def _cpuinfo(wanted: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == wanted:
            return value.strip()
    return ""


def _virtualised() -> tuple[State, str]:
    if "hypervisor" in _cpuinfo("flags").split():
        return "limited", "itself a virtual machine: noisy; trust ratios, not single times"
    return "ok", ""


def _meminfo(wanted: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == wanted:
            return int(value.split()[0]) * 1024
    return 0


def _memory() -> Fact:
    total, available = _meminfo("MemTotal"), _meminfo("MemAvailable")
    value = f"{total / 2**30:.1f} GiB, {available / 2**30:.1f} GiB available"
    if available < 4 * 2**30:
        return Fact("memory", value, "limited", "density will stop at its memory floor early")
    return Fact("memory", value)


def _clock() -> str:
    path = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    return path.read_text().strip() if path.exists() else "unknown"


def _privileges() -> list[Fact]:
    if os.geteuid() != 0:
        return [Fact("root", "no", "missing", "nothing can be measured: run this with sudo")]
    effective = int(_status("CapEff"), 16)
    missing = [name for name, bit in _NEEDED_CAPABILITIES.items() if not effective >> bit & 1]
    if not missing:
        return [Fact("capabilities", "all that are needed")]
    meaning = "rlimits can't be raised" if missing == ["CAP_SYS_RESOURCE"] else "starts will fail"
    return [Fact("capabilities", f"without {', '.join(missing)}", "limited", meaning)]


def _status(wanted: str) -> str:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == wanted:
            return value.strip()
    return "0"


def _cgroup_version() -> str:
    if (_CGROUP_ROOT / "cgroup.controllers").exists():
        return "v2"
    if (_CGROUP_ROOT / "unified" / "cgroup.controllers").exists():
        return "hybrid"
    return "v1" if (_CGROUP_ROOT / "memory").is_dir() else "none"


def _controllers() -> list[str]:
    """The controllers in which a cgroup of ours can be made, as this process is."""
    if _cgroup_version() == "v2":
        present = (_CGROUP_ROOT / "cgroup.controllers").read_text().split()
        return [name for name in present if name in _WANTED_CONTROLLERS]
    return [
        name for name in _WANTED_CONTROLLERS if os.access(_CGROUP_ROOT / name, os.W_OK | os.X_OK)
    ]


def _cgroups(cgroup: dict[str, Any]) -> Fact:
    missing = [name for name in ("cpu", "memory", "pids") if name not in cgroup["controllers"]]
    value = f"{cgroup['version']}: {' '.join(cgroup['controllers']) or 'none usable'}"
    if missing:
        return Fact("cgroups", value, "missing", f"no limits on {', '.join(missing)}")
    return Fact("cgroups", value)


def _file_system(name: str, use: str) -> Fact:
    known = Path("/proc/filesystems").read_text().split()
    if name in known:
        return Fact(f"{name} file system", "yes")
    return Fact(f"{name} file system", "not loaded", "limited", f"{use}: modprobe {name}")


def _user_namespaces() -> Fact:
    limit = Path("/proc/sys/user/max_user_namespaces")
    if limit.exists() and int(limit.read_text()) > 0:
        return Fact("user namespaces", "yes")
    return Fact("user namespaces", "no", "limited", "no rootless containers")


def _program(program: str, name: str, package: str, use: str) -> Fact:
    if not shutil.which(program):
        return Fact(name, "absent", "missing", f"no {use}: apt-get install {package}")
    return Fact(name, _first_line(program, "--version"))


def _first_line(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "does not answer"
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def _libvirt() -> Fact:
    if not find_spec("libvirt"):
        return Fact("libvirt", "absent", "missing", "no machines: make setup")
    import libvirt

    number = libvirt.getVersion()
    version = f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
    drivers = Path(sys.base_prefix), Path("/usr")
    if not any(
        root.glob("lib/*/libvirt/connection-driver/libvirt_driver_qemu.so") for root in drivers
    ):
        return Fact(
            "libvirt",
            version,
            "missing",
            "no embedded driver: apt-get install libvirt-daemon-driver-qemu",
        )
    return Fact("libvirt", f"{version}, with its embedded QEMU driver")


def _kvm_fact(asked: str, proved: kvm.Verdict, chosen: Accelerator) -> Fact:
    if proved.works:
        return Fact("KVM", f"works: {proved.reason}")
    if chosen == "kvm":
        return Fact("KVM", f"asked for, though {proved.reason}", "limited", "starts may hang")
    return Fact(
        "KVM", f"no: {proved.reason}", "limited", "machines are emulated (TCG) and labelled so"
    )


def _target(name: str, why: str) -> Fact:
    if not why:
        return Fact(f"target {name}", "present")
    state: State = "missing" if name in targets.DEFAULT else "limited"
    return Fact(f"target {name}", "absent", state, why)
