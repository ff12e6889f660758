"""A child on another CPU than its parent while both have work to do.

In a virtual machine a CPU that idles may look as if the host had taken it away, and nobody is woken
on such a one: a child that has waited for its parent is put behind it, on the CPU on which that one
goes on, for a millisecond, and another idles. So a child is kept off its parent's CPU for a while.
(vcpu_is_preempted and wake_affine in the kernel's kernel/sched/fair.c)
"""

from __future__ import annotations

import os

from runtime.launcher.program import Block
from runtime.lazy import remembered
from runtime.linux import cpu_list, syscalls
from runtime.linux.libc import function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.launcher.program import Program

_MASK_BYTES = 128
_EVERY = (1 << 8 * _MASK_BYTES) - 1


def avoided() -> int | None:
    """This thread's CPU, if a child is to be kept off it: there are others, and not too busy.

    None as well where not every CPU is allowed, since then it could not be put back as it was.
    """
    own = os.sched_getaffinity(0)
    if len(own) < 2 or own != _possible_cpus() or _others() > len(own):
        return None
    return int(_own_cpu())


def avoid(program: Program, cpu: int) -> None:
    """Have the child keep off a CPU. (sched_setaffinity(2))"""
    _choose(program, syscalls.SCHED_SETAFFINITY, _EVERY & ~(1 << cpu))


def avoid_none(program: Program, cpu: int | None) -> None:
    """Have it go anywhere again, within its cpuset, if it was kept off a CPU.

    If not, a call that does nothing stands there: parts behind it are taken over from the last
    program only if they lie at the same place.
    """
    _choose(program, syscalls.GETPID if cpu is None else syscalls.SCHED_SETAFFINITY, _EVERY)


def _choose(program: Program, number: int, cpus: int) -> None:
    mask = Block(cpus.to_bytes(_MASK_BYTES, "little"))
    program.call("choose a CPU", number, 0, _MASK_BYTES, mask)


@remembered
def _possible_cpus() -> set[int]:
    """Return all CPUs that the host may ever have; none if the list can't be read."""
    try:
        numbers = cpu_list.parse(_read("/sys/devices/system/cpu/possible"))
    except (OSError, ValueError):
        return set()
    # A mask that is too short for all of them could not restore the affinity.
    return set(numbers) if max(numbers, default=0) < 8 * _MASK_BYTES else set()


def _others() -> int:
    """Return how many other threads of the host run or are ready to. (proc_loadavg(5))"""
    return int(_read("/proc/loadavg").split()[3].partition("/")[0]) - 1


def _read(path: str) -> str:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(file, 4096).decode().strip()
    finally:
        os.close(file)


_own_cpu = function("sched_getcpu")
