"""A program that prints what it finds in a container, as one JSON document.

python3 -I -S inside.py [PATH …]

It also describes each PATH: its type, its content, and if it can be written to. It imports nothing
of the project, since it runs on the container's own Python, and few modules, since every test waits
for them.
"""

import ctypes
import fcntl
import json
import os
import resource
import stat
import struct
import sys
import termios
import time

LIBC = ctypes.CDLL(None, use_errno=True)
IOPRIO_GET, GET_MEMPOLICY, PERSONALITY_QUERY = 252, 239, 0xFFFFFFFF  # the numbers of x86-64
LIMITS = {name: getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
EVERY = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty",
         "/dev/console", "/dev/ptmx", "/dev/pts/ptmx", "/dev/fd", "/dev/stdin", "/dev/stdout",
         "/dev/stderr")  # fmt: skip


def read(path: str) -> str:
    with open(path, errors="replace") as file:
        return file.read()


def status() -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in read("/proc/self/status").splitlines()
                if ":\t" in line)  # fmt: skip


def mounts() -> list[dict[str, object]]:
    mounts: list[dict[str, object]] = []
    for line in read("/proc/self/mountinfo").splitlines():
        before, after = line.split(" - ", 1)
        _, _, _, root, destination, options, *tags = before.split()
        kind, source, superblock = [*after.split(), ""][:3]
        mounts.append({"destination": destination, "root": root, "options": options.split(","),
                      "propagation": tags, "type": kind, "source": source,
                      "superblock": superblock.split(",")})  # fmt: skip
    return mounts


def descriptors() -> dict[str, str]:
    descriptors = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the descriptor of this listing itself
        descriptors[name] = target
    return {name: target for name, target in descriptors.items() if not target.startswith("/proc/")}


def looked_at(path: str) -> dict[str, object]:
    try:
        status = os.lstat(path)
    except OSError as error:
        return {"error": error.strerror}
    seen: dict[str, object] = {
        "mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid,
        "type": stat.filemode(status.st_mode)[0],
    }  # fmt: skip
    if stat.S_ISLNK(status.st_mode):
        seen["link"] = os.readlink(path)
    elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
        seen["device"] = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    elif stat.S_ISREG(status.st_mode):
        try:
            seen["holds"] = read(path)[:4096]
        except OSError as error:
            seen["unreadable"] = error.strerror
        seen["writable"] = opens_for_writing(path)
    elif stat.S_ISDIR(status.st_mode):
        try:
            seen["holds"] = sorted(os.listdir(path))[:200]
        except OSError as error:
            seen["unreadable"] = error.strerror
        seen["writable"] = can_make_a_file_in(path)
    return seen


def opens_for_writing(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        return False
    return True


def can_make_a_file_in(path: str) -> bool:
    probe = os.path.join(path, ".probe")
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        os.unlink(probe)
    except OSError:
        return False
    return True


def terminal() -> dict[str, int] | None:
    if not os.isatty(0):
        return None
    rows, columns, *_ = struct.unpack("4H", fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))
    return {"height": rows, "width": columns}


def memory_policy() -> dict[str, int]:
    mode, nodes = ctypes.c_int(), (ctypes.c_ulong * 16)()
    LIBC.syscall(GET_MEMPOLICY, ctypes.byref(mode), nodes, 1024, None, 0)
    return {"mode": mode.value, "nodes": nodes[0]}


def or_error(path: str) -> str | None:
    try:
        return read(path)
    except OSError as error:
        return error.strerror


def umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


os.umask(was := umask())
print(json.dumps({
    "pid": os.getpid(),
    "args": sys.argv[1:],
    "env": dict(os.environ),
    "cwd": os.getcwd(),
    "status": status(),
    "mounts": mounts(),
    "namespaces": {name: os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES
                   if os.path.lexists(f"/proc/self/ns/{name}")},
    "limits": {name: resource.getrlimit(which) for name, which in LIMITS.items()},
    "hostname": os.uname().nodename,
    "domainname": read("/proc/sys/kernel/domainname").strip(),
    "machine": os.uname().machine,
    "descriptors": descriptors(),
    "uid_map": [line.split() for line in read("/proc/self/uid_map").splitlines()],
    "gid_map": [line.split() for line in read("/proc/self/gid_map").splitlines()],
    "time_offsets": or_error("/proc/self/timens_offsets"),
    "oom_score_adj": int(read("/proc/self/oom_score_adj")),
    "scheduler": os.sched_getscheduler(0) & 0xFF,
    "reset_on_fork": bool(os.sched_getscheduler(0) & os.SCHED_RESET_ON_FORK),
    "priority": os.sched_getparam(0).sched_priority,
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "io_priority": LIBC.syscall(IOPRIO_GET, 1, 0),
    "memory_policy": memory_policy(),
    "personality": LIBC.personality(PERSONALITY_QUERY),
    "affinity": sorted(os.sched_getaffinity(0)),
    "cgroups": dict(line.split(":", 2)[1:] for line in read("/proc/self/cgroup").splitlines()),
    "boot_seconds": time.clock_gettime(time.CLOCK_BOOTTIME),
    "umask": was,
    "terminal": terminal(),
    "interfaces": sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else [],
    "paths": {path: looked_at(path) for path in (*EVERY, *sys.argv[1:])},
}))  # fmt: skip
