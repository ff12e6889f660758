"""What the host's kernel takes for an empty memory cgroup, network namespace and mount just now.

These costs are the host's history: the kernel (6.18 here) sizes what it keeps for each memory
cgroup by the most file systems that there ever were at once since boot (`shrinker_info`, a
kilobyte for each 64), and never shrinks it. So the same container takes several times the memory
after a host once held thousands of them. A density run raises that itself, hence it is measured
before and after each target's.

It is measured in a process of its own, in mount and network namespaces of its own, which end with
it; the cgroups are removed by it, or by the next one if it is killed. Memory is read as the slab
allocator's objects in use and Percpu, where these things are: pages of slabs are reused and freed
late, and what is available moves with all else.
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
_TIMES = 3  # the median of them, since others free and take meanwhile
_SECONDS = 60.0
_SETTLE_SECONDS, _PAUSE_SECONDS = 3.0, 0.1
_STEADY_BYTES = 1 << 20
_NAME = re.compile(r"tonnage-kernel-costs-(\d+)")


@dataclass(frozen=True, slots=True)
class Costs:
    """Bytes of kernel memory for one more of each; None where none can be made here."""

    memory_cgroup: float | None = None
    network_namespace: float | None = None
    mount: float | None = None


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What else a host remembers of what ran on it, as counts and bytes of this moment.

    `dying_cgroups` are removed ones that pages are still charged to; `free_in_large_blocks` is the
    part of free memory that lies in blocks of 2 MiB or more.
    """

    dying_cgroups: int | None
    dentries: int
    connections: int
    page_cache_bytes: int
    slab_bytes: int
    anonymous_huge_bytes: int
    free_in_large_blocks: float


def measure() -> Costs:
    """Return what they cost now. It takes a fraction of a second, and costs nothing lasting."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", __name__],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_SECONDS,
        check=False,
    )
    try:
        return Costs(**json.loads(done.stdout))
    except (ValueError, TypeError):
        return Costs()


def leftovers() -> Leftovers:
    """Return what else is left of the host's past. (proc(5))"""
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
    """Remove the cgroups of a measurement that was killed; return a line for each."""
    removed = []
    for where in _memory_roots():
        for group in where.glob("tonnage-kernel-costs-*"):
            owner = _NAME.fullmatch(group.name)
            if owner and not Path("/proc", owner[1]).exists():
                _remove(group)
                removed.append(f"removed cgroup {group}")
    return removed


def _here() -> Costs:
    """Measure in this process, which is left in namespaces of its own."""
    clean()
    cgroup = _cost(_CGROUP_COUNT, _memory_cgroups)
    network = _cost(_NETWORK_COUNT, _network_namespaces)
    return Costs(cgroup, network, _cost(_MOUNT_COUNT, _mounts))


def _cost(
    count: int, made: Callable[[int], contextlib.AbstractContextManager[None]]
) -> float | None:
    """Bytes for each of so many, that are there within a block; None if they can't be made."""
    found = []
    for _ in range(_TIMES):
        _settle()
        before = _kernel_bytes()
        try:
            with made(count):
                found.append((_kernel_bytes() - before) / count)
        except OSError:
            return None
    return max(0.0, sorted(found)[_TIMES // 2])


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
    """Empty file systems in memory, one over the other, that are gone with this process."""
    clone.unshare(clone.NEWNS)
    mount.mount(None, b"/", None, mount.REC | mount.PRIVATE)
    for _ in range(count):
        mount.mount(b"tonnage", b"/sys", b"tmpfs", 0, b"size=4k")
    yield


def _memory_roots() -> Iterator[Path]:
    """The hierarchy that has the memory controller: version 1's own, or version 2's."""
    if (_CGROUPS / "memory/memory.usage_in_bytes").exists():
        yield _CGROUPS / "memory"
    elif "memory" in _read(str(_CGROUPS / "cgroup.subtree_control"), "").split():
        yield _CGROUPS


def _remove(top: Path) -> None:
    for group in (*(path for path in top.iterdir() if path.is_dir()), top):
        with contextlib.suppress(OSError):
            group.rmdir()


def _dying_cgroups() -> int | None:
    """Return how many memory cgroups are removed and not freed; None if the kernel does not say.

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
    """(proc_buddyinfo: free blocks of each zone by order, in pages of 4 KiB)"""
    free = large = 0
    for line in _read("/proc/buddyinfo", "").splitlines():
        for order, blocks in enumerate(line.split()[4:]):
            free += int(blocks) << order
            large += int(blocks) << order if order >= 9 else 0
    return large / free if free else 0.0


def _kernel_bytes() -> int:
    """Bytes of all objects in use, and of what there is for each CPU. (slabinfo(5))"""
    in_use = 0
    for line in _read("/proc/slabinfo", "").splitlines()[2:]:
        _, active, _, size, *_ = line.split()
        in_use += int(active) * int(size)
    memory = proc.meminfo()
    return (in_use or memory["Slab"]) + memory.get("Percpu", 0)


def _settle() -> None:
    """Wait, not for long, until the kernel has freed what went before."""
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
    print(json.dumps(asdict(_here())))
