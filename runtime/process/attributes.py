"""What a process is given before it execs, as calls for the child that becomes it."""

from __future__ import annotations

import errno
import os
from _struct import Struct

from runtime.errors import ContainerError
from runtime.launcher.program import CALL_BYTES, Block, Label, write_file
from runtime.linux import capabilities, cpu_list, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.launcher.program import Program, Result
    from runtime.seccomp.filter import Filter
    from runtime.spec.config import Capabilities, MemoryPolicy, Personality, Process, User

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
_FILTER = Struct("<H6xQ")
_F_DUPFD_CLOEXEC, _CLOSE_RANGE_CLOEXEC = 1030, 4
_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_JOIN_SESSION_KEYRING = 1
_SIG_SETMASK, _SIGNAL_SET_BYTES, _SIGACTION_BYTES = 2, 8, 32
_BITS_OF_A_MASK = 1024


def schedule(program: Program, process: Process) -> None:
    """Set the scheduler and the I/O priority."""
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
    """Write process.oomScoreAdj, if that changes it. The host's /proc must be seen."""
    wanted = process.oom_score_adj
    if wanted is not None and wanted != _own_oom_score():
        write_file(program, "set process.oomScoreAdj", b"/proc/self/oom_score_adj", wanted)


def label(program: Program, process: Process) -> None:
    """Say what label the next exec brings. The host's /proc must be seen.

    The container's own may be another's. (CVE-2019-16884)
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
        onwards = Label()
        program.call(
            "give stdin, stdout and stderr to the user", syscalls.FCHOWN, stream, user, -1,
            foreseen=[(each, onwards) for each in (errno.EPERM, errno.EINVAL, errno.EROFS)],
        )  # fmt: skip
        program.place(onwards)


def place_streams(program: Program, streams: Sequence[int]) -> None:
    """Make these descriptors 0, 1 and 2."""
    if tuple(streams) == (0, 1, 2):
        return
    what = "place stdin, stdout and stderr"
    # Lifted first, so that none is overwritten before it was placed.
    lifted = [program.call(what, syscalls.FCNTL, stream, _F_DUPFD_CLOEXEC, 3) for stream in streams]
    for number, descriptor in enumerate(lifted):
        program.call(what, syscalls.DUP3, descriptor, number, 0)


def set_memory_policy(program: Program, policy: MemoryPolicy) -> None:
    """(set_mempolicy(2))"""
    mode = MEMORY_MODES[policy.mode] | sum(MEMORY_FLAGS[name] for name in policy.flags)
    nodes = sum(1 << number for number in numbers(policy.nodes))
    mask: Block | int = Block(nodes.to_bytes(_BITS_OF_A_MASK // 8, "little")) if nodes else 0
    program.call(
        "set linux.memoryPolicy",
        syscalls.SET_MEMPOLICY,
        mode,
        mask,
        _BITS_OF_A_MASK if nodes else 0,
    )


def set_personality(program: Program, personality: Personality) -> None:
    """(personality(2))"""
    value = DOMAINS[personality.domain] | sum(PERSONALITY_FLAGS[name] for name in personality.flags)
    program.call("set linux.personality", syscalls.PERSONALITY, value)


def run_on(program: Program, what: str, cpus: str) -> None:
    """Have it run on these CPUs. (sched_setaffinity(2))"""
    mask = sum(1 << number for number in numbers(cpus)).to_bytes(_BITS_OF_A_MASK // 8, "little")
    program.call(f"set {what}", syscalls.SCHED_SETAFFINITY, 0, len(mask), Block(mask))


def join_new_keyring(program: Program, identifier: str) -> None:
    """A session keyring of its own; that of whoever calls us is not the container's to read.

    A name may not begin with a dot, as an identifier may. (keyctl(2))
    """
    without, name = Label(), f"_ses.{identifier}".encode()
    program.call(
        "make a session keyring", syscalls.KEYCTL, _JOIN_SESSION_KEYRING, name,
        foreseen=[(errno.ENOSYS, without), (errno.EDQUOT, without)],
    )  # fmt: skip
    program.place(without)


def enter(program: Program, directory: str) -> Result:
    """Enter a directory; if it is the user's alone, `become_user` enters it by this result.

    A file system of the user's (FUSE, NFS) denies even root, and so does a directory of his without
    CAP_DAC_OVERRIDE. What is returned is where the program then goes on: the offset of a file is
    the one number that a call returns as it was given it.
    """
    what = f"enter {directory}"
    done, denied = Label(), Label()
    path = os.fsencode(directory)
    program.call(what, syscalls.CHDIR, path, then=done, foreseen=[(errno.EACCES, denied)])
    program.place(denied)
    file = program.call(what, syscalls.MEMFD_CREATE, b"number", os.MFD_CLOEXEC)
    lead = program.call(what, syscalls.LSEEK, file, CALL_BYTES, os.SEEK_SET)
    program.call(what, syscalls.CLOSE, file)
    program.place(done)
    return lead


def become_user(
    program: Program,
    user: User,
    wanted: Capabilities | None,
    umask: Result,
    able: int,
    may_set_groups: bool,
    directory: str,
    entering: Result,
) -> None:
    """User, groups, umask and capabilities; `able` are those that can be had, as bits.

    `directory` is entered if it was denied before (`enter`).
    """
    last = capabilities.last_known()
    bounding = capabilities.mask(wanted.bounding) if wanted else 0
    for number in range(last + 1):
        if not bounding >> number & 1:
            program.call(
                "bound the capabilities",
                syscalls.PRCTL,
                capabilities.BOUNDING_DROP,
                number,
                0,
                0,
                0,
            )
    program.call("keep the capabilities", syscalls.PRCTL, capabilities.SET_KEEPCAPS, 1, 0, 0, 0)
    if may_set_groups:
        groups = b"".join(gid.to_bytes(4, "little") for gid in user.additional_gids)
        program.call("set the groups", syscalls.SETGROUPS, len(user.additional_gids), Block(groups))
    program.call("set the group", syscalls.SETRESGID, user.gid, user.gid, user.gid)
    program.call("set the user", syscalls.SETRESUID, user.uid, user.uid, user.uid)
    entered = Label()
    dropped = program.call(
        "drop the flag", syscalls.PRCTL, capabilities.SET_KEEPCAPS, 0, 0, 0, 0, then=entered
    )
    program.overrule(dropped, entering)
    program.call(f"enter {directory}", syscalls.CHDIR, os.fsencode(directory))
    program.place(entered)
    program.call("set the umask", syscalls.UMASK, umask if user.umask is None else user.umask)
    _set_capabilities(program, wanted, able, last)


def _set_capabilities(program: Program, wanted: Capabilities | None, able: int, last: int) -> None:
    known = able & (1 << last + 1) - 1
    effective, permitted, inheritable, ambient = (
        (
            capabilities.mask(wanted.effective) & known,
            capabilities.mask(wanted.permitted) & known,
            capabilities.mask(wanted.inheritable) & known,
            capabilities.mask(wanted.ambient) & known,
        )
        if wanted
        else (0, 0, 0, 0)
    )
    program.call(
        "set the capabilities", syscalls.CAPSET,
        Block(capabilities.header()), Block(capabilities.sets(effective, permitted, inheritable)),
    )  # fmt: skip
    what = "set the ambient capabilities"
    program.call(
        what, syscalls.PRCTL, capabilities.AMBIENT, capabilities.AMBIENT_CLEAR_ALL, 0, 0, 0
    )
    for number in range(last + 1):
        if ambient & permitted & inheritable & 1 << number:
            program.call(
                what, syscalls.PRCTL, capabilities.AMBIENT, capabilities.AMBIENT_RAISE, number, 0, 0
            )


def forbid_new_privileges(program: Program) -> None:
    """No exec from here on grants what the process has not. (prctl(2), PR_SET_NO_NEW_PRIVS)"""
    program.call("forbid new privileges", syscalls.PRCTL, _SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def filter_calls(program: Program, wanted: Filter) -> Result:
    """Load a seccomp filter; its listener's descriptor, if it has one. (seccomp(2))"""
    block = Block(_FILTER.pack(len(wanted.program) // 8, 0), {8: Block(wanted.program)})
    return program.call(
        "load the seccomp filter", syscalls.SECCOMP, _SECCOMP_SET_MODE_FILTER, wanted.flags, block
    )


def close_from(program: Program, first: int) -> None:
    """Have every descriptor from there on closed at exec. (CVE-2024-21626, CVE-2016-9962)"""
    program.call(
        "close what is inherited", syscalls.CLOSE_RANGE, first, 0xFFFFFFFF, _CLOSE_RANGE_CLOEXEC
    )


def reset_signals(program: Program, ignored: Iterable[int]) -> None:
    """Have signals as a program expects them: none blocked, none ignored.

    `ignored` are those that the parent ignores, which a clone and an exec leave so. (signal(7))
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
    """Return the CPUs or nodes in a list such as 0-3,7. Raise ContainerError."""
    try:
        parsed = cpu_list.parse(text)
    except ValueError as error:
        raise ContainerError(f"{error}.") from None
    if parsed and max(parsed) >= _BITS_OF_A_MASK:
        raise ContainerError(f"{text!r} goes beyond {_BITS_OF_A_MASK - 1}.")
    return parsed


def _own_oom_score() -> int:
    with open("/proc/self/oom_score_adj", "rb") as file:
        return int(file.read())
