"""Files of /proc, read and taken apart. (proc(5))"""

from __future__ import annotations

import os

# Fields of /proc/PID/stat as `stat` returns them. (proc_pid_stat(5), where the first has number 3)
STATE, PARENT, USER_TICKS, SYSTEM_TICKS = 0, 1, 11, 12
CHILDREN_USER_TICKS, CHILDREN_SYSTEM_TICKS, START_TICKS = 13, 14, 19
_LINE_BYTES = 4096


def stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the state on. Raise OSError.

    The name before them is in brackets and may contain spaces and brackets.
    """
    return _line(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def status(pid: int | str, name: str) -> str:
    """Return a field of /proc/PID/status, empty if the kernel has no such field. Raise OSError.

    (proc_pid_status(5))
    """
    with open(f"/proc/{pid}/status", "rb") as file:
        content = file.read()
    return content.partition(f"\n{name}:".encode())[2].partition(b"\n")[0].strip().decode()


def fields(path: str) -> dict[str, str]:
    """Return the `name: value` lines of a file, the first of each name. Raise OSError."""
    found: dict[str, str] = {}
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            found.setdefault(name.strip(), value.strip())
    return found


def meminfo() -> dict[str, int]:
    """Return /proc/meminfo, with sizes in bytes. Raise OSError. (proc_meminfo(5))"""
    found = {}
    for name, value in fields("/proc/meminfo").items():
        number, _, unit = value.partition(" ")
        found[name] = int(number) * (1024 if unit == "kB" else 1)
    return found


def loadavg() -> list[bytes]:
    """Return the words of /proc/loadavg: three averages, RUNNING/ALL threads, the last pid."""
    return _line("/proc/loadavg").split()


def ignored_signals() -> tuple[int, ...]:
    """Return the signals that this process ignores. Raise OSError."""
    mask = int(status("self", "SigIgn"), 16)
    return tuple(number for number in range(1, 65) if mask >> number - 1 & 1)


def is_pid_namespace_init(pid: int) -> bool:
    """Return True if all processes of the pid namespace end with this one. (pid_namespaces(7))"""
    try:
        pids = status(pid, "NSpid").split()
    except OSError:
        return False
    return len(pids) > 1 and pids[-1] == "1"


def pid_namespace_members(pid: int) -> list[int]:
    """Return the processes in the pid namespace of a process.

    If that is the namespace of the caller as well, return the process alone.
    """
    namespace = _pid_namespace(str(pid))
    if namespace in {"", _pid_namespace("self")}:
        return [pid]
    names = (name for name in os.listdir("/proc") if name.isdecimal())
    return sorted(int(name) for name in names if _pid_namespace(name) == namespace)


def _pid_namespace(name: str) -> str:
    try:
        return os.readlink(f"/proc/{name}/ns/pid")
    except OSError:
        return ""  # it has ended, or belongs to another user


def _line(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, _LINE_BYTES)
    finally:
        os.close(descriptor)
