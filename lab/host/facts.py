"""Facts about this host. Where a file only promises a feature, the feature is tried."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.host import libvirt_library
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
    """One property of the host: its value, its state, and what that means for measuring."""

    name: str
    value: str
    state: State = "ok"
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The version (`v1`, `v2`, `hybrid` or `none`), and the controllers that can be used."""

    version: str
    controllers: tuple[str, ...]


def distribution() -> str:
    """Return the distribution's name. (os-release(5))"""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def cpus() -> int:
    """Return the number of CPUs that this process may use. (sched_getaffinity(2))"""
    return len(os.sched_getaffinity(0))


def cpu_model() -> str:
    """Return the processor's model name."""
    return _field("/proc/cpuinfo", "model name") or platform.machine()


def memory_bytes(name: str = "MemTotal") -> int:
    """Return a figure of /proc/meminfo; 0 if the kernel does not have it. (proc_meminfo(5))"""
    return proc.meminfo().get(name, 0)


def processor() -> Fact:
    """Return the CPUs, and whether they are virtual."""
    value = f"{cpus()} × {cpu_model()}"
    if "hypervisor" in _field("/proc/cpuinfo", "flags").split():
        meaning = "this host is a virtual machine: trust ratios rather than single times"
        return Fact("CPUs", value, "limited", meaning)
    return Fact("CPUs", value)


def memory() -> Fact:
    """Return the host's memory, and how much is available to instances."""
    available = memory_bytes("MemAvailable")
    value = f"{_gib(memory_bytes())}, {_gib(available)} available"
    if available < _ENOUGH_MEMORY_BYTES:
        return Fact("memory", value, "limited", "density will stop early, at its memory floor")
    return Fact("memory", value)


def swap() -> Fact:
    """Return the swap space, which hides memory that instances use."""
    total = memory_bytes("SwapTotal")
    if not total:
        return Fact("swap", "none")
    value = f"{_gib(total)}, {_gib(total - memory_bytes('SwapFree'))} used"
    return Fact(
        "swap",
        value,
        "limited",
        "swapped-out memory counts as free: run swapoff -a before density",
    )


def memory_sharing() -> Iterator[Fact]:
    """Return the kernel features that change how much memory instances use."""
    ksm = _read("/sys/kernel/mm/ksm/run")
    if ksm == "1":
        yield Fact("KSM", "running", "limited", "merges machines' memory, which changes density")
    else:
        yield Fact("KSM", "off" if ksm else "not in this kernel")
    chosen = re.search(r"\[(\w+)\]", _read("/sys/kernel/mm/transparent_hugepage/enabled"))
    mode = chosen[1] if chosen else "not in this kernel"
    yield Fact("transparent huge pages", mode, *_huge_pages_meaning(mode))
    reserved = proc.meminfo().get("HugePages_Total", 0)
    size = memory_bytes("Hugepagesize")
    if reserved:
        value = f"{reserved} × {size >> 20} MiB"
        meaning = "reserved memory is not available to instances: sysctl vm.nr_hugepages=0"
        yield Fact("huge pages", value, "limited", meaning)
    else:
        yield Fact("huge pages", "none reserved")


def _huge_pages_meaning(mode: str) -> tuple[State, str]:
    if mode == "always":
        return "limited", "an instance's memory may grow in steps of 2 MiB"
    return "ok", ""


def clock() -> Fact:
    """Return the clock source that times are read from."""
    source = _read("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    if source in _STEADY_CLOCKS:
        return Fact("clock source", source)
    return Fact("clock source", source or "unknown", "limited", "slow to read, or coarse")


def process_limit() -> Fact:
    """Return the maximum number of process ids. (proc_sys_kernel(5), pid_max)"""
    limit = int(_read("/proc/sys/kernel/pid_max") or 0)
    if limit < _ENOUGH_PIDS:
        meaning = "density will reach this limit: sysctl kernel.pid_max=4194304"
        return Fact("process ids", str(limit), "limited", meaning)
    return Fact("process ids", str(limit))


def privileges() -> Fact:
    """Return the privileges that this process lacks for starting instances. (capabilities(7))"""
    if os.geteuid() != 0:
        return Fact("root", "no", "missing", "nothing can be measured: use sudo")
    effective = int(proc.status("self", "CapEff") or "0", 16)
    missing = [
        name for name in _NEEDED_CAPABILITIES if not effective >> capabilities.NUMBERS[name] & 1
    ]
    if not missing:
        return Fact("capabilities", "all required")
    value = f"without {', '.join(missing)}"
    if missing == ["CAP_SYS_RESOURCE"]:
        return Fact("capabilities", value, "limited", "resource limits can't be raised")
    return Fact("capabilities", value, "missing", "starts will fail")


def cgroups() -> Cgroups:
    """Return the version, and the controllers in which a test group could be made."""
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
    """Return the usable controllers of one hierarchy of version 1."""
    with suppress(OSError), _trial_group(root):
        return set(options.split(","))
    return set()


def _unified(root: Path) -> set[str]:
    """Return the usable controllers of version 2.

    At the root of the hierarchy every available controller can be enabled for groups below. Other
    groups, which have a cgroup.type, may hold processes, so only their enabled controllers count.
    (Linux, cgroup-v2.rst, No Internal Process Constraint)
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


def control_groups(cgroups: Cgroups) -> Fact:
    """Return the fact that describes the cgroups."""
    value = f"{cgroups.version}: {' '.join(cgroups.controllers) or 'no usable controller'}"
    if missing := [name for name in _LIMITS if name not in cgroups.controllers]:
        return Fact("cgroups", value, "missing", f"no limits on {', '.join(missing)}")
    return Fact("cgroups", value)


def overlay() -> Fact:
    """Return whether an overlay can be mounted on the disk of the instances. (mount(8))"""
    cache = cache_directory()
    script = "cd $0 && mkdir l u w m && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w none m"
    with tempfile.TemporaryDirectory(
        prefix="tonnage-doctor-", dir=cache if os.access(cache, os.W_OK) else None
    ) as trial:
        refused = _refusal("unshare", *_as_root(), "--mount", "sh", "-c", script, trial)
    if refused:
        return Fact("overlay file system", "no", "missing", f"no containers: {refused}")
    return Fact("overlay file system", "yes")


def user_namespaces() -> Fact:
    """Return whether a user namespace can be made. (unshare(1))"""
    refused = _refusal("unshare", "--user", "--map-root-user", "true")
    if refused:
        return Fact("user namespaces", "no", "limited", f"no rootless containers: {refused}")
    if _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        meaning = "for root only: sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        return Fact("user namespaces", "restricted", "limited", meaning)
    return Fact("user namespaces", "yes")


def _as_root() -> tuple[str, ...]:
    return () if os.geteuid() == 0 else ("--user", "--map-root-user")


def systemd() -> Fact:
    """Return whether systemd is process 1. (sd_booted(3))"""
    if Path("/run/systemd/system").is_dir():
        return Fact("systemd", "yes")
    return Fact("systemd", "no", "limited", "cgroups are made as directories, not as units")


def room() -> Fact:
    """Return the free space on the disk that holds the user land and the instances' files."""
    cache = cache_directory()
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    value = f"{_gib(free)} free in {cache}"
    if free < _ENOUGH_DISK_BYTES:
        meaning = "may be too small for the user land: set TONNAGE_CACHE to another directory"
        return Fact("disk", value, "limited", meaning)
    return Fact("disk", value)


def program(name: str, command: str, package: str, use: str) -> Fact:
    """Return a program's version, or the package that installs it."""
    if not shutil.which(command):
        return Fact(name, "absent", "missing", f"no {use}: apt-get install {package}")
    return Fact(name, version(command))


def version(command: str) -> str:
    """Return the version that a program prints; `absent` if it is not installed."""
    try:
        result = subprocess.run(
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
    number = _VERSION.search(result.stdout)
    return number[0] if number else "version unknown"


def libvirt() -> Fact:
    """Return the version of the libvirt library, and whether its embedded QEMU driver exists."""
    if reason := libvirt_library.absent():
        return Fact("libvirt", "absent", "missing", f"no machines: {reason}")
    import libvirt as library

    number = library.getVersion()
    value = f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"
    if not any(any(Path("/usr").glob(f"{lib}/{_EMBEDDED_DRIVER}")) for lib in ("lib*", "lib/*")):
        meaning = "no embedded driver: apt-get install libvirt-daemon-driver-qemu"
        return Fact("libvirt", value, "missing", meaning)
    return Fact("libvirt", f"{value}, with its embedded QEMU driver")


def _refusal(*argv: str) -> str:
    """Return the last line of a failing command's error output; empty if the command succeeds."""
    try:
        result = subprocess.run(
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
    lines = result.stderr.strip().splitlines() or [f"{argv[0]} exited with {result.returncode}"]
    return lines[-1] if result.returncode else ""


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
