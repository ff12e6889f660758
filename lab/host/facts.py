"""Single facts about this host, each found by trying where a file alone would only promise."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.paths import cache_directory
from runtime.linux import capabilities, proc

if TYPE_CHECKING:
    from collections.abc import Iterator

State = Literal["ok", "limited", "missing"]

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpu", "memory", "pids", "cpuset", "io", "blkio", "devices", "freezer")
_LIMITS = ("cpu", "memory", "pids")
_NEEDED_CAPABILITIES = (
    "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_ADMIN", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE",
    "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE", "CAP_MKNOD",
)  # fmt: skip
_EMBEDDED_DRIVER = "libvirt/connection-driver/libvirt_driver_qemu.so"
_STEADY_CLOCKS = {"tsc", "kvm-clock", "arch_sys_counter"}
_ENOUGH_MEMORY_BYTES = 4 << 30
_ENOUGH_DISK_BYTES = 4 << 30
_ENOUGH_PIDS = 16_384
_TRIAL_SECONDS = 10.0
_VERSION = re.compile(r"\d+(?:\.\d+)+[\w.+~-]*")


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing about the host: what it is, how good that is, what it means for measuring."""

    name: str
    value: str
    state: State = "ok"
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Cgroups:
    """`v1`, `v2`, `hybrid` or `none`, and the controllers in which a group of ours can be made."""

    version: str
    controllers: tuple[str, ...]


def distribution() -> str:
    """The distribution by its own name. (os-release(5))"""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def cpus() -> int:
    """How many CPUs this process may use. (sched_getaffinity(2))"""
    return len(os.sched_getaffinity(0))


def cpu_model() -> str:
    """The processor's own name for itself."""
    return _field("/proc/cpuinfo", "model name") or platform.machine()


def memory_bytes(name: str = "MemTotal") -> int:
    """Return a figure of /proc/meminfo; 0 if the kernel does not have it. (proc_meminfo(5))"""
    return proc.meminfo().get(name, 0)


def processor() -> Fact:
    """The CPUs, and whether they are another machine's."""
    value = f"{cpus()} × {cpu_model()}"
    if "hypervisor" in _field("/proc/cpuinfo", "flags").split():
        return Fact(
            "CPUs", value, "limited", "itself a virtual machine: trust ratios, not single times"
        )
    return Fact("CPUs", value)


def memory() -> Fact:
    """What there is, and what is free for instances."""
    available = memory_bytes("MemAvailable")
    value = f"{_gib(memory_bytes())}, {_gib(available)} available"
    if available < _ENOUGH_MEMORY_BYTES:
        return Fact("memory", value, "limited", "density will meet its memory floor early")
    return Fact("memory", value)


def swap() -> Fact:
    """Swap hides what an instance takes."""
    total = memory_bytes("SwapTotal")
    if not total:
        return Fact("swap", "none")
    value = f"{_gib(total)}, {_gib(total - memory_bytes('SwapFree'))} used"
    return Fact(
        "swap",
        value,
        "limited",
        "memory that is swapped out counts as free: swapoff -a for density",
    )


def memory_sharing() -> Iterator[Fact]:
    """What the kernel does to the memory of instances behind their backs."""
    ksm = _read("/sys/kernel/mm/ksm/run")
    if ksm == "1":
        yield Fact("KSM", "running", "limited", "machines shrink with time, which density sees")
    else:
        yield Fact("KSM", "off" if ksm else "not in this kernel")
    chosen = re.search(r"\[(\w+)\]", _read("/sys/kernel/mm/transparent_hugepage/enabled"))
    mode = chosen[1] if chosen else "not in this kernel"
    yield Fact("transparent huge pages", mode, *_huge_pages_meaning(mode))
    reserved = proc.meminfo().get("HugePages_Total", 0)
    size = memory_bytes("Hugepagesize")
    if reserved:
        value = f"{reserved} × {size >> 20} MiB"
        yield Fact("huge pages", value, "limited", "reserved, so no instance's: vm.nr_hugepages=0")
    else:
        yield Fact("huge pages", "none reserved")


def _huge_pages_meaning(mode: str) -> tuple[State, str]:
    if mode == "always":
        return "limited", "an instance's memory may come in steps of 2 MiB"
    return "ok", ""


def clock() -> Fact:
    """What times are read from."""
    source = _read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    if source in _STEADY_CLOCKS:
        return Fact("clock source", source)
    return Fact("clock source", source or "unknown", "limited", "slow or coarse to read")


def process_limit() -> Fact:
    """How many processes there can be. (proc_sys_kernel(5), pid_max)"""
    limit = int(_read("/proc/sys/kernel/pid_max") or 0)
    if limit < _ENOUGH_PIDS:
        meaning = "density will meet it: sysctl kernel.pid_max=4194304"
        return Fact("process ids", str(limit), "limited", meaning)
    return Fact("process ids", str(limit))


def privileges() -> Fact:
    """Whether this process may do what starts take. (capabilities(7))"""
    if os.geteuid() != 0:
        return Fact("root", "no", "missing", "nothing can be measured: run this with sudo")
    effective = int(proc.status("self", "CapEff") or "0", 16)
    missing = [
        name for name in _NEEDED_CAPABILITIES if not effective >> capabilities.NUMBERS[name] & 1
    ]
    if not missing:
        return Fact("capabilities", "all that are needed")
    value = f"without {', '.join(missing)}"
    if missing == ["CAP_SYS_RESOURCE"]:
        return Fact("capabilities", value, "limited", "resource limits can't be raised")
    return Fact("capabilities", value, "missing", "starts will fail")


def cgroups() -> Cgroups:
    """The version, and the controllers proved by making a group of ours and removing it."""
    kinds, usable = set(), set()
    for line in _read("/proc/self/mounts").splitlines():
        _, where, kind, options, *_ = line.split()
        root = Path(where)
        if kind in {"cgroup", "cgroup2"} and _CGROUP_ROOT in {root, root.parent}:
            kinds.add(kind)
            usable |= _unified(root) if kind == "cgroup2" else _hierarchy(root, options)
    version = {"cgroup": "v1", "cgroup2": "v2", "": "none"}.get("".join(kinds), "hybrid")
    return Cgroups(version, tuple(name for name in _CONTROLLERS if name in usable))


def _hierarchy(root: Path, options: str) -> set[str]:
    """The usable controllers of one of version 1's mounts."""
    with suppress(OSError), _trial_group(root):
        return set(options.split(","))
    return set()


def _unified(root: Path) -> set[str]:
    """The usable controllers of version 2. (Linux, cgroup-v2.rst, No Internal Process Constraint)

    One that is not enabled for groups below `root` can be, if `root` is the hierarchy's own: only
    the others have a type.
    """
    with suppress(OSError), _trial_group(root) as trial:
        holder = trial if (root / "cgroup.type").exists() else root
        return set(_read(f"{holder}/cgroup.controllers").split())
    return set()


@contextmanager
def _trial_group(root: Path) -> Iterator[Path]:
    trial = root / f"tonnage-doctor-{os.getpid()}"
    trial.mkdir()
    try:
        yield trial
    finally:
        trial.rmdir()


def control_groups(found: Cgroups) -> Fact:
    """The cgroups as a fact."""
    value = f"{found.version}: {' '.join(found.controllers) or 'no controller is usable'}"
    if missing := [name for name in _LIMITS if name not in found.controllers]:
        return Fact("cgroups", value, "missing", f"no limits on {', '.join(missing)}")
    return Fact("cgroups", value)


def overlay() -> Fact:
    """Whether an overlay can be mounted where instances will have theirs. (mount(8))"""
    kept = cache_directory()
    script = "cd $0 && mkdir l u w m && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w none m"
    with tempfile.TemporaryDirectory(
        prefix="tonnage-doctor-", dir=kept if os.access(kept, os.W_OK) else None
    ) as trial:
        refused = _refusal("unshare", *_as_root(), "--mount", "sh", "-c", script, trial)
    if refused:
        return Fact("overlay file system", "no", "missing", f"no containers: {refused}")
    return Fact("overlay file system", "yes")


def user_namespaces() -> Fact:
    """Whether one can be made. (unshare(1))"""
    refused = _refusal("unshare", "--user", "--map-root-user", "true")
    if refused:
        return Fact("user namespaces", "no", "limited", f"no rootless containers: {refused}")
    if _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        meaning = "for root alone: sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        return Fact("user namespaces", "restricted", "limited", meaning)
    return Fact("user namespaces", "yes")


def _as_root() -> tuple[str, ...]:
    return () if os.geteuid() == 0 else ("--user", "--map-root-user")


def systemd() -> Fact:
    """Whether it is PID 1. (sd_booted(3))"""
    if Path("/run/systemd/system").is_dir():
        return Fact("systemd", "yes")
    return Fact("systemd", "no", "limited", "cgroups are made as directories, not as units")


def room() -> Fact:
    """Free disk where the user land is built and instances write."""
    kept = cache_directory()
    there = next(path for path in (kept, *kept.parents) if path.exists())
    free = shutil.disk_usage(there).free
    value = f"{_gib(free)} free in {kept}"
    if free < _ENOUGH_DISK_BYTES:
        return Fact("disk", value, "limited", "may not hold the user land: TONNAGE_CACHE moves it")
    return Fact("disk", value)


def program(name: str, command: str, package: str, use: str) -> Fact:
    """A program's version, or the package that brings it."""
    if not shutil.which(command):
        return Fact(name, "absent", "missing", f"no {use}: apt-get install {package}")
    return Fact(name, version(command))


def version(command: str) -> str:
    """What a program says of its version; `absent` if it is not there."""
    try:
        done = subprocess.run(
            [command, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return "absent"
    except (OSError, subprocess.TimeoutExpired):
        return "does not answer"
    found = _VERSION.search(done.stdout)
    return found[0] if found else "version unknown"


def libvirt() -> Fact:
    """The library, and the QEMU driver that it loads into our process."""
    if not find_spec("libvirt"):
        return Fact("libvirt", "absent", "missing", "no machines: make setup")
    import libvirt as library

    number = library.getVersion()
    value = f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"
    if not any(any(Path("/usr").glob(f"{lib}/{_EMBEDDED_DRIVER}")) for lib in ("lib*", "lib/*")):
        meaning = "no embedded driver: apt-get install libvirt-daemon-driver-qemu"
        return Fact("libvirt", value, "missing", meaning)
    return Fact("libvirt", f"{value}, with its embedded QEMU driver")


def _refusal(*argv: str) -> str:
    """Why a command fails, in its last words; empty if it does not."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        return f"{argv[0]} is not installed"
    except (OSError, subprocess.TimeoutExpired):
        return f"{argv[0]} does not answer"
    said = done.stderr.strip().splitlines() or [f"{argv[0]} ended with {done.returncode}"]
    return said[-1] if done.returncode else ""


def _field(file: str, name: str) -> str:
    """Return the value of the first `name: value` line of that name; empty if there is none."""
    try:
        return proc.fields(file).get(name, "")
    except OSError:
        return ""


def _read(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.1f} GiB"
