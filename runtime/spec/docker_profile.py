"""Docker's defaults for a container: capabilities, hidden paths, system calls.

The module is data, with two functions that select from it. docs/security.md explains the profile
and compares it with others. It is equivalent to moby's profiles of 2026-06.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

# Docker's list without CAP_MKNOD: the runtime makes the devices that a container needs.
CAPABILITIES = (
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP",
    "CAP_SETUID", "CAP_SYS_CHROOT",
)  # fmt: skip

# Files of the kernel that reveal facts about the host, or change it.
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",  # reveal the timing of keystrokes (moby GHSA-6fw5-f8r9-fgfm)
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",  # power reveals what is computed (moby GHSA-jq35-85cj-fj4p)
    "/sys/firmware",
)
READONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)

_CPUS = "/sys/devices/system/cpu"


def masked_paths() -> tuple[str, ...]:
    """Return the masked paths, with those of this host's counters of CPU throttling."""
    throttled = (
        f"{_CPUS}/{name}/thermal_throttle"
        for name in os.listdir(_CPUS)
        if name[:3] == "cpu" and name[3:].isdigit()
    )
    return (*MASKED_PATHS, *(path for path in throttled if os.path.isdir(path)))


def seccomp(capabilities: Collection[str] = CAPABILITIES) -> dict[str, Any]:
    """Return the seccomp section for a process with these bounding capabilities.

    It has the format of config.json. (OCI config-linux.md, "Seccomp")
    """
    machine = os.uname().machine
    calls = [name for group in ALLOWED for name in group.split()]
    calls += _OF_MACHINE.get(machine, "").split()
    for capability, names in WITH_CAPABILITY.items():
        if capability in capabilities:
            calls += names.split()
    rules = [{"names": list(dict.fromkeys(calls)), "action": _ALLOW}, *_some_values()]
    if "CAP_SYS_ADMIN" not in capabilities:
        rules += _without_new_namespaces(machine)
    return {
        "defaultAction": _ERRNO,
        "defaultErrnoRet": _EPERM,
        "architectures": [f"SCMP_ARCH_{name}" for name in _ARCHITECTURES.get(machine, "").split()],
        "syscalls": rules,
    }


# The 32-bit architectures whose programs the kernel runs too.
_ARCHITECTURES = {
    "x86_64": "X86_64 X86 X32",
    "aarch64": "AARCH64 ARM",
    "mips64": "MIPS64 MIPS MIPS64N32",
    "mips64el": "MIPSEL64 MIPSEL MIPSEL64N32",
    "s390x": "S390X S390",
    "riscv64": "RISCV64",
    "loongarch64": "LOONGARCH64",
}

ALLOWED = (
    # Files by path, which the mount namespace and their modes restrict.
    "access chdir chmod chown chown32 creat faccessat faccessat2 fchmodat fchmodat2 fchownat"
    " futimesat getcwd lchown lchown32 link linkat lstat lstat64 mkdir mkdirat name_to_handle_at"
    " newfstatat fstatat64 open openat openat2 readlink readlinkat rename renameat renameat2 rmdir"
    " stat stat64 statfs statfs64 statx symlink symlinkat truncate truncate64 umask unlink"
    " unlinkat utime utimensat utimensat_time64 utimes",
    # Device files, which CAP_MKNOD and the device cgroup restrict.
    "mknod mknodat",
    # Extended attributes.
    "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr"
    " listxattrat llistxattr lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat",
    # Files by descriptor.
    "close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 fallocate fchdir"
    " fchmod fchown fchown32 fcntl fcntl64 fdatasync flock fstat fstat64 fstatfs fstatfs64 fsync"
    " ftruncate ftruncate64 getdents getdents64 ioctl lseek _llseek pipe pipe2 pread64 preadv"
    " preadv2 pwrite64 pwritev pwritev2 read readahead readv sendfile sendfile64 splice sync"
    " sync_file_range syncfs tee vmsplice write writev",
    # Mounts; changes need CAP_SYS_ADMIN.
    "listmount statmount",
    # Waiting for files and events.
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait"
    " epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1"
    " inotify_rm_watch _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 select",
    # Asynchronous I/O, but not io_uring: its operations bypass every filter.
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit",
    # The process's own memory.
    "brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2"
    " mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc"
    " pkey_free pkey_mprotect remap_file_pages",
    # Processes and threads. clone and clone3 are below: they also make namespaces.
    "arch_prctl execve execveat exit exit_group fork get_robust_list get_thread_area getpgid"
    " getpgrp getpid getppid getsid gettid pause pidfd_open prctl process_mrelease restart_syscall"
    " rseq set_robust_list set_thread_area set_tid_address setpgid setsid uname uretprobe vfork"
    " wait4 waitid waitpid",
    # Processes in the same namespace, of the same user. Since Linux 4.8 a traced process can't
    # escape its filter.
    "process_vm_readv process_vm_writev ptrace",
    # Locks between threads.
    "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake",
    # Signals.
    "kill pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo"
    " rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo"
    " sigaltstack signalfd signalfd4 sigprocmask sigreturn tgkill tkill",
    # User and group ids; the capabilities bound what the process may become.
    "capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32"
    " getresgid getresgid32 getresuid getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid"
    " setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid setresgid32"
    " setresuid setresuid32 setreuid setreuid32 setuid setuid32",
    # Time, reading and waiting. adjtimex and clock_adjtime need CAP_SYS_TIME to set it.
    "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime"
    " clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep"
    " setitimer time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64"
    " timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64"
    " timerfd_settime timerfd_settime64 times",
    # CPU share and limits; the cgroup is the upper bound.
    "getcpu getpriority getrlimit getrusage ioprio_get ioprio_set prlimit64"
    " sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam"
    " sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity"
    " sched_setattr sched_setparam sched_setscheduler sched_yield setpriority setrlimit sysinfo"
    " ugetrlimit",
    # Sockets in the network namespace; the address families of socket are restricted below. 32-bit
    # programs before Linux 4.3 use socketcall, whose arguments a filter can't read.
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg"
    " recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall"
    " socketpair",
    # Queues, semaphores and shared memory in the IPC namespace.
    "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend"
    " mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop"
    " semtimedop_time64 shmat shmctl shmdt shmget",
    # Further restriction of the process itself.
    "landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp",
    # Processor features, and random numbers.
    "cachestat getrandom riscv_hwprobe",
)

# System calls of these processors only.
_OF_MACHINE = {
    "x86_64": "modify_ldt",
    "aarch64": "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls"
    " sync_file_range2",
    "ppc64le": "sync_file_range2 swapcontext",
    "riscv64": "riscv_flush_icache",
    "s390x": "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr",
}

# System calls that a process may make if it has the capability.
WITH_CAPABILITY = {
    "CAP_BPF": "bpf",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYS_ADMIN": "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie"
    " lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree"
    " perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2"
    " unshare",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYSLOG": "syslog",
}

_ALLOW, _ERRNO = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"
_EPERM, _ENOSYS = 1, 38
# The kernel's crypto interface, through which users became root, and sockets to the hypervisor,
# which network namespaces do not separate. (address_families(7))
_AF_ALG, _AF_VSOCK = 38, 40
# Linux, 32-bit Linux, both with the version number 2.6, and the query. Other personalities disable
# address randomisation, and more. (personality(2))
_PERSONALITIES = (0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
# The flags of new mount, cgroup, UTS, IPC, user, PID and network namespaces. (clone(2))
_NAMESPACES = 0x7E020000


def _some_values() -> list[dict[str, Any]]:
    """Return rules for system calls that are allowed with some values of their first argument."""
    sockets = (("LT", _AF_ALG), ("EQ", _AF_ALG + 1), ("GT", _AF_VSOCK))
    return [
        *(_if("socket", 0, operator, family) for operator, family in sockets),
        *(_if("personality", 0, "EQ", persona) for persona in _PERSONALITIES),
    ]


def _without_new_namespaces(machine: str) -> list[dict[str, Any]]:
    """Return rules that allow clone without new namespaces, and refuse clone3.

    The flags of clone3 are in memory, which a filter can't read. With ENOSYS the C library assumes
    a kernel without clone3, and calls clone.
    """
    flags_argument = 1 if machine == "s390x" else 0
    return [
        _if("clone", flags_argument, "MASKED_EQ", _NAMESPACES),
        {"names": ["clone3"], "action": _ERRNO, "errnoRet": _ENOSYS},
    ]


def _if(name: str, index: int, operator: str, value: int) -> dict[str, Any]:
    comparison = {"index": index, "op": f"SCMP_CMP_{operator}", "value": value, "valueTwo": 0}
    return {"names": [name], "action": _ALLOW, "args": [comparison]}
