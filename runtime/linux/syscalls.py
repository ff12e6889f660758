"""Numbers of system calls on this machine, as attributes of this module: `syscalls.MOUNT`.

(linux/arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h)
"""

from __future__ import annotations

import errno
import os

# The number on x86-64, and on architectures that have the generic table.
_TABLE = {
    "BPF": (321, 280),
    "CAPGET": (125, 90),
    "CAPSET": (126, 91),
    "CHDIR": (80, 49),
    "CHROOT": (161, 51),
    "CLONE": (56, 220),
    "CLOCK_GETTIME": (228, 113),
    "CLOSE": (3, 57),
    "CLOSE_RANGE": (436, 436),
    "DUP3": (292, 24),
    "EXECVE": (59, 221),
    "EXECVEAT": (322, 281),
    "EXIT_GROUP": (231, 94),
    "FACCESSAT": (269, 48),
    "FCHDIR": (81, 50),
    "FCHOWN": (93, 55),
    "FCHOWNAT": (260, 54),
    "FCNTL": (72, 25),
    "FSCONFIG": (431, 431),
    "FSMOUNT": (432, 432),
    "FSOPEN": (430, 430),
    "GETPID": (39, 172),
    "IOCTL": (16, 29),
    "IOPRIO_SET": (251, 30),
    "KEYCTL": (250, 219),
    "LSEEK": (8, 62),
    "MEMFD_CREATE": (319, 279),
    "MKDIRAT": (258, 34),
    "MKNODAT": (259, 33),
    "MMAP": (9, 222),
    "MOUNT": (165, 40),
    "MOUNT_SETATTR": (442, 442),
    "MOVE_MOUNT": (429, 429),
    "MPROTECT": (10, 226),
    "MUNMAP": (11, 215),
    "OPENAT": (257, 56),
    "OPENAT2": (437, 437),
    "OPEN_TREE": (428, 428),
    "PERSONALITY": (135, 92),
    "PIDFD_GETFD": (438, 438),
    "PIDFD_OPEN": (434, 434),
    "PIVOT_ROOT": (155, 41),
    "PRCTL": (157, 167),
    "PRLIMIT64": (302, 261),
    "READ": (0, 63),
    "RT_SIGACTION": (13, 134),
    "RT_SIGPROCMASK": (14, 135),
    "SCHED_SETAFFINITY": (203, 122),
    "SCHED_SETATTR": (314, 274),
    "SECCOMP": (317, 277),
    "SENDMSG": (46, 211),
    "SETDOMAINNAME": (171, 162),
    "SETGROUPS": (116, 159),
    "SETHOSTNAME": (170, 161),
    "SETNS": (308, 268),
    "SETRESGID": (119, 149),
    "SETRESUID": (117, 147),
    "SETSID": (112, 157),
    "SOCKET": (41, 198),
    "SET_MEMPOLICY": (238, 237),
    "SYMLINKAT": (266, 36),
    "UMASK": (95, 166),
    "UMOUNT2": (166, 39),
    "UNSHARE": (272, 97),
    "WRITE": (1, 64),
}
_COLUMNS = {"x86_64": 0, "aarch64": 1}
MACHINE = os.uname().machine


def __getattr__(name: str) -> int:
    """Return the number of a system call. Raise OSError on an architecture without a table."""
    if name not in _TABLE:
        raise AttributeError(name)
    if MACHINE not in _COLUMNS:
        raise OSError(errno.ENOSYS, f"the system calls of {MACHINE} are not known")
    number = _TABLE[name][_COLUMNS[MACHINE]]
    globals()[name] = number
    return number
