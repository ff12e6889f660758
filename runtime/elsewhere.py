"""A child on another CPU than its parent while both have work to do.

In a virtual machine a CPU that idles may look as if the host had taken it away, and nobody is woken
on such a one: a child that has waited for its parent is put behind it, on the CPU on which that one
goes on, for a millisecond, and another idles. So a child is kept off its parent's CPU for a while.
(vcpu_is_preempted and wake_affine in the kernel's kernel/sched/fair.c)
"""

from __future__ import annotations

import os

from runtime.linux import syscalls
from runtime.linux.libc import function
from runtime.linux.program import Block

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.linux.program import Program

_MASK_BYTES = 128
_EVERY = (1 << 8 * _MASK_BYTES) - 1


def avoided() -> int | None:
    """This thread's CPU, if a child is to be kept off it: there are others, and not too busy.

    None as well where not every CPU is allowed, since then it could not be put back as it was.
    """
    own = len(os.sched_getaffinity(0))
    if not 2 <= own <= 8 * _MASK_BYTES or own != _possible_cpus() or _others() > own:
        return None
    return int(function("sched_getcpu")())


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


def _possible_cpus() -> int:
    """How many there may ever be; 0 if that is not told."""
    if not _possible:
        try:
            with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:
                first, _, last = file.read().strip().partition("-")
        except OSError:  # no sysfs
            first = last = ""
        _possible.append(int(last) + 1 if first == "0" and last.isdigit() else 0)
    return _possible[0]


def _others() -> int:
    """How many threads of the host run or want to, but for this one. (proc_loadavg(5))"""
    file = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(file, 128).split()[3].partition(b"/")[0]) - 1
    finally:
        os.close(file)


_possible: list[int] = []
