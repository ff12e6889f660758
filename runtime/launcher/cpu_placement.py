"""CPU placement: keep a child off its parent's CPU while both have work to do.

In a virtual machine the scheduler may take an idle CPU for one that the host has taken away, and
then wakes no process on it. A child that has waited for its parent is queued behind it, on the
parent's CPU, for a millisecond, while another CPU idles. Therefore the child's affinity leaves out
its parent's CPU for a while. (vcpu_is_preempted, wake_affine in the kernel's kernel/sched/fair.c)
"""

from __future__ import annotations

import os

from runtime.launcher.program import Block
from runtime.lazy import remembered
from runtime.linux import cpu_list, proc, syscalls
from runtime.linux.libc import function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.launcher.program import Program

_ALL = (1 << cpu_list.MASK_BITS) - 1


def avoided() -> int | None:
    """Return the CPU of this thread if a child should avoid it, or None.

    None if there is no other CPU, or all are busy, or this process may not run on all of them: its
    affinity could not be restored then.
    """
    own = os.sched_getaffinity(0)
    if len(own) < 2 or own != _possible_cpus() or _other_threads() > len(own):
        return None
    return int(_own_cpu())


def avoid(program: Program, cpu: int) -> None:
    """Keep the child off a CPU. (sched_setaffinity(2))"""
    _choose(program, syscalls.SCHED_SETAFFINITY, _ALL & ~(1 << cpu))


def avoid_none(program: Program, cpu: int | None) -> None:
    """Allow the child all CPUs of its cpuset again, if it avoids one.

    If not, a call without effect takes the place: the parts behind it are copied from the last
    program only if they are at the same address.
    """
    _choose(program, syscalls.GETPID if cpu is None else syscalls.SCHED_SETAFFINITY, _ALL)


def _choose(program: Program, number: int, cpus: int) -> None:
    mask = Block(cpus.to_bytes(cpu_list.MASK_BYTES, "little"))
    program.call("choose a CPU", number, 0, cpu_list.MASK_BYTES, mask)


@remembered
def _possible_cpus() -> set[int]:
    """Return all CPUs that the host may ever have; none if they are unknown or exceed a mask.

    A mask that is too short for all of them could not restore the affinity.
    """
    try:
        with open("/sys/devices/system/cpu/possible", encoding="utf-8") as file:
            return set(cpu_list.parse(file.read().strip(), cpu_list.MASK_BITS))
    except (OSError, ValueError):
        return set()


def _other_threads() -> int:
    """Return how many other threads of the host run, or are ready to. (proc_loadavg(5))"""
    return int(proc.loadavg()[3].partition(b"/")[0]) - 1


_own_cpu = function("sched_getcpu")
