"""Attributes that a process keeps over its exec, as calls for the child that becomes it."""

from __future__ import annotations

import errno
import os
from _struct import Struct
from fcntl import F_DUPFD_CLOEXEC

from runtime.errors import InvalidConfig
from runtime.launcher.program import CALL_BYTES, Block, Label, write_file
from runtime.linux import cpu_list, syscalls
from runtime.linux.seccomp import SET_MODE_FILTER, sock_fprog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.launcher.program import Program, Result
    from runtime.seccomp.filter import Filter
    from runtime.spec.config import MemoryPolicy, Personality, Process

POLICIES = {
    "SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4,
    "SCHED_IDLE": 5, "SCHED_DEADLINE": 6,
}  # fmt: skip
SCHEDULER_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01, "SCHED_FLAG_RECLAIM": 0x02, "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08, "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20, "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}  # fmt: skip
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
DOMAINS = {"LINUX": 0, "LINUX32": 8}
PERSONALITY_FLAGS = {
    "UNAME26": 0x0020000, "ADDR_NO_RANDOMIZE": 0x0040000, "FDPIC_FUNCPTRS": 0x0080000,
    "MMAP_PAGE_ZERO": 0x0100000, "ADDR_COMPAT_LAYOUT": 0x0200000, "READ_IMPLIES_EXEC": 0x0400000,
    "ADDR_LIMIT_32BIT": 0x0800000, "SHORT_INODE": 0x1000000, "WHOLE_SECONDS": 0x2000000,
    "STICKY_TIMEOUTS": 0x4000000, "ADDR_LIMIT_3GB": 0x8000000,
}  # fmt: skip
MEMORY_MODES = {
    "MPOL_DEFAULT": 0, "MPOL_PREFERRED": 1, "MPOL_BIND": 2, "MPOL_INTERLEAVE": 3, "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5, "MPOL_WEIGHTED_INTERLEAVE": 6,
}  # fmt: skip
MEMORY_FLAGS = {
    "MPOL_F_STATIC_NODES": 1 << 15, "MPOL_F_RELATIVE_NODES": 1 << 14,
    "MPOL_F_NUMA_BALANCING": 1 << 13,
}  # fmt: skip

_SCHEDULER = Struct("<IIQiIQQQII")
_CLOSE_RANGE_CLOEXEC = 4
_JOIN_SESSION_KEYRING = 1
_SIG_SETMASK, _SIGNAL_SET_BYTES, _SIGACTION_BYTES = 2, 8, 32


def schedule(program: Program, process: Process) -> None:
    """Set the scheduler and the I/O priority. (sched_setattr(2), ioprio_set(2))"""
    if scheduler := process.scheduler:
        flags = sum(SCHEDULER_FLAGS[name] for name in scheduler.flags)
        attributes = _SCHEDULER.pack(
            _SCHEDULER.size, POLICIES[scheduler.policy], flags, scheduler.nice, scheduler.priority,
            scheduler.runtime, scheduler.deadline, scheduler.period, 0, 0,
        )  # fmt: skip
        program.call("set the scheduler", syscalls.SCHED_SETATTR, 0, Block(attributes), 0)
    if priority := process.io_priority:
        value = IO_CLASSES[priority.kind] << 13 | priority.priority
        program.call("set the I/O priority", syscalls.IOPRIO_SET, 1, 0, value)


def adjust_oom_score(program: Program, process: Process) -> None:
    """Set process.oomScoreAdj if it differs from this process's, through the host's /proc."""
    score = process.oom_score_adj
    if score is not None and score != _own_oom_score():
        write_file(program, "set process.oomScoreAdj", b"/proc/self/oom_score_adj", score)


def label(program: Program, process: Process) -> None:
    """Set the security label of the next exec, through the host's /proc.

    In the container something else may be mounted at /proc. (CVE-2019-16884)
    """
    if process.apparmor_profile and process.apparmor_profile != "unconfined":
        write_file(
            program, "set process.apparmorProfile", b"/proc/self/attr/apparmor/exec",
            f"exec {process.apparmor_profile}",
        )  # fmt: skip
    if process.selinux_label:
        write_file(
            program, "set process.selinuxLabel", b"/proc/self/attr/exec", process.selinux_label
        )


def give_streams(program: Program, streams: Sequence[int], user: int) -> None:
    """Give streams to the user as far as root of the user namespace may. (process.streams)"""
    for stream in streams:
        refused = Label()
        program.call(
            "give stdin, stdout and stderr to the user", syscalls.FCHOWN, stream, user, -1,
            foreseen=[(code, refused) for code in (errno.EPERM, errno.EINVAL, errno.EROFS)],
        )  # fmt: skip
        program.place(refused)


def place_streams(program: Program, streams: Sequence[int]) -> None:
    """Duplicate three descriptors to 0, 1 and 2."""
    if tuple(streams) == (0, 1, 2):
        return
    step = "place stdin, stdout and stderr"
    # First above 2, so that none is overwritten before it is in its place.
    copies = [program.call(step, syscalls.FCNTL, stream, F_DUPFD_CLOEXEC, 3) for stream in streams]
    for number, descriptor in enumerate(copies):
        program.call(step, syscalls.DUP3, descriptor, number, 0)


def set_memory_policy(program: Program, policy: MemoryPolicy) -> None:
    """Set linux.memoryPolicy. (set_mempolicy(2))"""
    mode = MEMORY_MODES[policy.mode] | sum(MEMORY_FLAGS[name] for name in policy.flags)
    nodes = numbers(policy.nodes)
    mask: Block | int = Block(cpu_list.mask(nodes)) if nodes else 0
    program.call(
        "set linux.memoryPolicy",
        syscalls.SET_MEMPOLICY,
        mode,
        mask,
        cpu_list.MASK_BITS if nodes else 0,
    )


def set_personality(program: Program, personality: Personality) -> None:
    """Set linux.personality. (personality(2))"""
    value = DOMAINS[personality.domain] | sum(PERSONALITY_FLAGS[name] for name in personality.flags)
    program.call("set linux.personality", syscalls.PERSONALITY, value)


def run_on(program: Program, field: str, cpus: str) -> None:
    """Set the CPUs that a field of the configuration lists. (sched_setaffinity(2))"""
    mask = cpu_list.mask(numbers(cpus))
    program.call(f"set {field}", syscalls.SCHED_SETAFFINITY, 0, len(mask), Block(mask))


def join_new_keyring(program: Program, identifier: str) -> None:
    """Join a new session keyring, so that the container can't read the caller's.

    The prefix is there because an identifier may begin with a dot, and the name of a keyring may
    not. Without keyrings in the kernel, or with no quota left, there is none. (keyctl(2))
    """
    without, name = Label(), f"_ses.{identifier}".encode()
    program.call(
        "make a session keyring", syscalls.KEYCTL, _JOIN_SESSION_KEYRING, name,
        foreseen=[(errno.ENOSYS, without), (errno.EDQUOT, without)],
    )  # fmt: skip
    program.place(without)


def enter(program: Program, directory: str) -> Result:
    """Enter a directory as root, or have `capabilities.become_user` enter it as the user.

    A file system of the user's (FUSE, NFS) denies even root, and so does a directory of the user's
    without CAP_DAC_OVERRIDE. In that case alone the returned result is there: the distance to the
    next call, which keeps `become_user` from leading past its own attempt. The offset of a file
    carries it, because lseek(2) is the call that returns a number as it was given.
    """
    step = f"enter {directory}"
    entered, denied = Label(), Label()
    path = os.fsencode(directory)
    program.call(step, syscalls.CHDIR, path, then=entered, foreseen=[(errno.EACCES, denied)])
    program.place(denied)
    file = program.call(step, syscalls.MEMFD_CREATE, b"number", os.MFD_CLOEXEC)
    lead = program.call(step, syscalls.LSEEK, file, CALL_BYTES, os.SEEK_SET)
    program.call(step, syscalls.CLOSE, file)
    program.place(entered)
    return lead


def load_filter(program: Program, seccomp: Filter) -> Result:
    """Load a seccomp filter. The result is its listener's descriptor, if it has a listener.

    (seccomp(2))
    """
    block = Block(sock_fprog(0, len(seccomp.program)), {8: Block(seccomp.program)})
    return program.call(
        "load the seccomp filter", syscalls.SECCOMP, SET_MODE_FILTER, seccomp.flags, block
    )


def close_from(program: Program, first: int) -> None:
    """Mark descriptors from `first` on as close-on-exec. (CVE-2024-21626, CVE-2016-9962)"""
    program.call(
        "close inherited descriptors", syscalls.CLOSE_RANGE, first, 0xFFFFFFFF, _CLOSE_RANGE_CLOEXEC
    )


def reset_signals(program: Program, ignored: Iterable[int]) -> None:
    """Reset signals to what a program expects: none blocked, none ignored.

    `ignored` are the signals that the parent ignores; clone and exec keep that. (signal(7))
    """
    for number in ignored:
        program.call(
            "reset signals", syscalls.RT_SIGACTION,
            number, Block(bytes(_SIGACTION_BYTES)), 0, _SIGNAL_SET_BYTES,
        )  # fmt: skip
    program.call(
        "unblock signals", syscalls.RT_SIGPROCMASK,
        _SIG_SETMASK, Block(bytes(_SIGNAL_SET_BYTES)), 0, _SIGNAL_SET_BYTES,
    )  # fmt: skip


def numbers(text: str) -> list[int]:
    """Return the CPUs or nodes of a list such as 0-3,7. Raise InvalidConfig."""
    try:
        return cpu_list.parse(text, cpu_list.MASK_BITS)
    except ValueError as error:
        raise InvalidConfig(f"{error}.") from None


def _own_oom_score() -> int:
    with open("/proc/self/oom_score_adj", "rb") as file:
        return int(file.read())
