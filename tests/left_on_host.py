"""Objects of ours on the host: processes, mounts, cgroups, network devices, rules, folders.

As a program it runs a command, and fails if the command left anything:
`python -m tests.left_on_host COMMAND …`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from lab.paths import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = "tonnage"
# Processes that the tests start inherit this variable; a payload and a QEMU that libvirt started do
# not, and are recognized by name.
MARK = "TONNAGE_TEST_SESSION"
MARKED = re.compile(rf"(?:^|\0){MARK}=((\d+)-\d+)".encode())
PROGRAMS = re.compile(r"qemu-system\S* .*tonnage|payload serve ")
# Names of ours contain the process id of the worker or run that owns the object.
OWNER = re.compile(r"tonnage(?:-[a-z]+)*-(\d+)|tonnage/s(\d+)")
SETTLE_SECONDS = 5.0  # for processes that are about to end


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail if the block leaves anything on the host, also of processes that it started."""
    os.environ[MARK] = mark = f"{os.getpid()}-{time.time_ns()}"
    before = left_on_host(mark)
    yield
    deadline = time.monotonic() + SETTLE_SECONDS
    while (left := left_on_host(mark) - before) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left, "left on the host:\n" + "\n".join(sorted(left))


def left_on_host(mark: str) -> set[str]:
    """Return a line for each object of ours on the host.

    If other test sessions run on the host, objects that may be theirs are left out.
    """
    own = set(chain(processes(mark), scratch()))
    if other_sessions(mark):
        return own
    return own | set(chain(programs(), mounts(), cgroups(), links(), rules(), states()))


def read(path: Path) -> bytes:
    """Return a file's content; nothing if its process has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def all_processes() -> Iterator[Path]:
    """Yield the /proc directory of every process but this one."""
    me = str(os.getpid())
    return (path for path in Path("/proc").glob("[0-9]*") if path.name != me)


def command_line(process: Path) -> str:
    """Return the arguments of a process."""
    return read(process / "cmdline").replace(b"\0", b" ").decode(errors="replace")


def shown(process: Path) -> str:
    """Return the line that describes a process."""
    return f"process {process.name}: {command_line(process)[:100].strip() or 'a zombie'}"


def has_living_owner(name: str) -> bool:
    """Return True if the process that owns an object of this name is alive.

    The object is then another session's, or goes with a process that is listed itself.
    """
    owner = OWNER.search(name)
    return owner is not None and Path("/proc", owner[1] or owner[2]).exists()


def has_ended_owner(name: str) -> bool:
    """Return True if an object of this name outlived the process that owned it."""
    return OWNER.search(name) is not None and not has_living_owner(name)


def processes(mark: str) -> Iterator[str]:
    """Yield the processes that this session started."""
    for process in all_processes():
        session = MARKED.search(read(process / "environ"))
        if session and session[1].decode() == mark:
            yield shown(process)


def other_sessions(mark: str) -> set[str]:
    """Return the marks of other test sessions that are running."""
    marks = (MARKED.search(read(process / "environ")) for process in all_processes())
    return {
        each[1].decode()
        for each in marks
        if each and each[1].decode() != mark and Path("/proc", each[2].decode()).exists()
    }


def programs() -> Iterator[str]:
    """Yield processes in a cgroup of ours, and those that run a program of ours."""
    for process in all_processes():
        line, groups = command_line(process), read(process / "cgroup").decode()
        if (OURS in groups or PROGRAMS.search(line)) and not has_living_owner(groups + line):
            yield shown(process)


def mounts() -> Iterator[str]:
    """Yield mounts of ours."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if OURS in line:
            yield f"mount {line.split()[1]}"


def cgroups() -> Iterator[str]:
    """Yield cgroups of ours, in every hierarchy of version 1 and of version 2."""
    for directory, names, _ in os.walk("/sys/fs/cgroup"):
        for name in names:
            if OURS in name and not has_living_owner(name):
                yield f"cgroup {directory}/{name}"


def links() -> Iterator[str]:
    """Yield network devices and named network namespaces of ours."""
    for directory in (Path("/sys/class/net"), Path("/run/netns")):
        yield from (f"network {path}" for path in directory.glob(f"*{OURS}*"))


def rules() -> Iterator[str]:
    """Yield firewall rules of ours."""
    if shutil.which("nft"):
        listing = subprocess.run(
            ["nft", "list", "ruleset"], capture_output=True, text=True, check=False
        )
        yield from (f"rule {line.strip()}" for line in listing.stdout.splitlines() if OURS in line)


def states() -> Iterator[str]:
    """Yield state directories of containers."""
    yield from (f"folder {path}" for path in Path("/run").glob(f"{OURS}/*"))


def scratch() -> Iterator[str]:
    """Yield scratch directories of runs that have ended."""
    for path in cache_directory().glob("s[0-9]*"):
        if not Path("/proc", path.name[1:]).exists():
            yield f"folder {path}"


def main() -> None:
    """Run the command of this process's arguments, and exit as it does."""
    try:
        with nothing_left() if os.geteuid() == 0 else nullcontext():
            status = subprocess.run(sys.argv[1:], check=False).returncode
    except AssertionError as error:
        sys.exit(str(error))
    sys.exit(status)


if __name__ == "__main__":
    main()
