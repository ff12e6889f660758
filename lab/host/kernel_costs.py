"""Kernel memory for one more empty memory cgroup, network namespace and mount at this moment.

These costs depend on the host's history. The kernel (measured with 6.18) sizes its data for each
memory cgroup by the largest number of file systems that were mounted at once since boot
(`shrinker_info`, a kilobyte for each 64), and never shrinks it. So the same container takes several
times the memory on a host that once held thousands of containers. A density run raises these costs
itself, so they are measured before and after the turn of each target.

The measurement runs in a process of its own, with mount and network namespaces that end with it. It
removes its cgroups; if it is killed, the next measurement removes them. Memory is read as the slab
allocator's objects in use plus Percpu, where these costs arise: MemAvailable also moves with all
other activity, and pages of slabs are reused and freed late.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.linux import clone, mount, proc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CGROUPS = Path("/sys/fs/cgroup")
_CGROUP_COUNT, _NETWORK_COUNT, _MOUNT_COUNT = 100, 15, 150
_TIMES = 3  # the median is taken, since other processes allocate and free memory meanwhile
_SECONDS = 60.0
_SETTLE_SECONDS, _PAUSE_SECONDS = 3.0, 0.1
_STEADY_BYTES = 1 << 20
_NAME = re.compile(r"tonnage-kernel-costs-(\d+)")


@dataclass(frozen=True, slots=True)
class Costs:
    """Bytes of kernel memory for one more of each; None where this host can't make one."""

    memory_cgroup: float | None = None
    network_namespace: float | None = None
    mount: float | None = None


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Other traces of what ran on the host before, as counts and bytes at this moment.

    `dying_cgroups` counts removed cgroups that pages are still charged to; `free_in_large_blocks`
    is the share of free memory in blocks of 2 MiB or more.
    """

    dying_cgroups: int | None
    dentries: int
    connections: int
    page_cache_bytes: int
    slab_bytes: int
    anonymous_huge_bytes: int
    free_in_large_blocks: float


def measure() -> Costs:
    """Return the costs now. This takes a fraction of a second and leaves nothing behind."""
    result = subprocess.run(
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    try:
        return Costs(**json.loads(result.stdout))
    except (ValueError, TypeError):
        return Costs()


def leftovers() -> Leftovers:
    """Return the traces of the host's past. (proc(5))"""
    memory = proc.meminfo()
    return Leftovers(
        dying_cgroups=_dying_cgroups(),
        dentries=int(_read("/proc/sys/fs/dentry-state", "0").split()[0]),
        connections=int(_read("/proc/sys/net/netfilter/nf_conntrack_count", "0")),
        page_cache_bytes=memory["Cached"],
        slab_bytes=memory["Slab"],
        anonymous_huge_bytes=memory.get("AnonHugePages", 0),
        free_in_large_blocks=_free_in_large_blocks(),
    )


def clean() -> list[str]:
    """Remove the cgroups of measurements that were killed; return a line for each."""
    removed = []
    for root in _memory_roots():
        for group in root.glob("tonnage-kernel-costs-*"):
            owner = _NAME.fullmatch(group.name)
            if owner and not Path("/proc", owner[1]).exists():
                _remove(group)
                removed.append(f"removed cgroup {group}")
    return removed


def _measure_here() -> Costs:
    """Measure in this process, and leave it in new namespaces."""
    clean()
    cgroup = _cost(_CGROUP_COUNT, _memory_cgroups)
    network = _cost(_NETWORK_COUNT, _network_namespaces)
    return Costs(cgroup, network, _cost(_MOUNT_COUNT, _mounts))


def _cost(
    count: int, make: Callable[[int], contextlib.AbstractContextManager[None]]
) -> float | None:
    """Return the bytes for each of `count` objects; None if they can't be made.

    The objects exist during the block of the context manager that `make` returns.
    """
    costs = []
    for _ in range(_TIMES):
        _settle()
        before = _kernel_bytes()
        try:
            with make(count):
                costs.append((_kernel_bytes() - before) / count)
        except OSError:
            return None
    return max(0.0, sorted(costs)[_TIMES // 2])


@contextlib.contextmanager
def _memory_cgroups(count: int) -> Iterator[None]:
    root = next(_memory_roots(), None)
    if root is None:
        raise FileNotFoundError("no memory controller")
    top = root / f"tonnage-kernel-costs-{os.getpid()}"
    top.mkdir()
    try:
        if (top / "cgroup.subtree_control").exists():
            (top / "cgroup.subtree_control").write_text("+memory")
        for number in range(count):
            (top / str(number)).mkdir()
        yield
    finally:
        _remove(top)


@contextlib.contextmanager
def _network_namespaces(count: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            clone.unshare(clone.NEWNET)
            stack.callback(os.close, os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        yield


@contextlib.contextmanager
def _mounts(count: int) -> Iterator[None]:
    """Mount empty file systems, one over the other, in a mount namespace of this process."""
    clone.unshare(clone.NEWNS)
    mount.mount(None, b"/", None, mount.REC | mount.PRIVATE)
    for _ in range(count):
        mount.mount(b"tonnage", b"/sys", b"tmpfs", 0, b"size=4k")
    yield


def _memory_roots() -> Iterator[Path]:
    """Yield the root of the hierarchy that has the memory controller: of version 1, or 2."""
    if (_CGROUPS / "memory/memory.usage_in_bytes").exists():
        yield _CGROUPS / "memory"
    elif "memory" in _read(str(_CGROUPS / "cgroup.subtree_control"), "").split():
        yield _CGROUPS


def _remove(top: Path) -> None:
    for group in (*(path for path in top.iterdir() if path.is_dir()), top):
        with contextlib.suppress(OSError):
            group.rmdir()


def _dying_cgroups() -> int | None:
    """Return how many memory cgroups are removed but not freed; None if the kernel does not say.

    (cgroup.stat of version 2; version 1 counts all of them in /proc/cgroups)
    """
    for line in _read(str(_CGROUPS / "cgroup.stat"), "").splitlines():
        name, _, value = line.partition(" ")
        if name == "nr_dying_descendants":
            return int(value)
    root = next(_memory_roots(), None)
    for line in _read("/proc/cgroups", "").splitlines():
        if root and line.startswith("memory\t"):
            return max(0, int(line.split()[2]) - sum(1 for _ in os.walk(root)))
    return None


def _free_in_large_blocks() -> float:
    """Return the share of free memory in blocks of 2 MiB or more.

    (/proc/buddyinfo: free blocks of each zone by order, in pages of 4 KiB)
    """
    free = large = 0
    for line in _read("/proc/buddyinfo", "").splitlines():
        for order, blocks in enumerate(line.split()[4:]):
            free += int(blocks) << order
            large += int(blocks) << order if order >= 9 else 0
    return large / free if free else 0.0


def _kernel_bytes() -> int:
    """Return the bytes of all slab objects in use and of per-CPU memory. (slabinfo(5))"""
    in_use = 0
    for line in _read("/proc/slabinfo", "").splitlines()[2:]:
        _, active, _, size, *_ = line.split()
        in_use += int(active) * int(size)
    memory = proc.meminfo()
    return (in_use or memory["Slab"]) + memory.get("Percpu", 0)


def _settle() -> None:
    """Wait a few seconds at most until the kernel has freed what was removed before."""
    last, until = _kernel_bytes(), time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < until:
        time.sleep(_PAUSE_SECONDS)
        now = _kernel_bytes()
        if last - now < _STEADY_BYTES:
            return
        last = now


def _read(path: str, otherwise: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return otherwise


if __name__ == "__main__":
    print(json.dumps(asdict(_measure_here())))
