"""The run ends with a check that nothing of ours is left on the host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.paths import cache_directory
from runtime.rootfs import empty_mount_namespace

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = "tonnage"
# What these tests start inherits it; a payload and a QEMU that libvirt started are known by name.
MARK = "TONNAGE_TEST_SESSION"
MARKED = re.compile(rf"(?:^|\0){MARK}=((\d+)-\d+)".encode())
PROGRAMS = re.compile(r"qemu-system\S* .*tonnage|payload serve ")
# Names bear the process id of the worker or run that is answerable for what bears them.
OWNER = re.compile(r"tonnage(?:-[a-z]+)*-(\d+)|tonnage/s(\d+)")
SETTLE_SECONDS = 5.0  # for what is dying


@pytest.fixture
def kept() -> int:
    """The empty mount namespace of a process that has started a container before."""
    found = empty_mount_namespace.descriptor() or empty_mount_namespace.descriptor()
    assert found
    return found


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.environ[MARK] = mark = f"{os.getpid()}-{time.time_ns()}"
    before = left_on_host(mark)
    yield
    deadline = time.monotonic() + SETTLE_SECONDS
    while (left := left_on_host(mark) - before) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left, "left on the host:\n" + "\n".join(sorted(left))


@pytest.fixture(scope="session")
def embedded() -> Iterator[Path]:
    """Where libvirt is embedded, by the name `l-tested`: a process has one such place.

    Below the cache, where images are that may be cloned; a short path, for the sockets.
    """
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tests-", dir=cache) as path:
        yield Path(path)


def left_on_host(mark: str) -> set[str]:
    """What of ours is on the host, a line each.

    Where other sessions run on the same host, only what is surely none of theirs.
    """
    found = set(chain(processes(mark), scratch()))
    if other_sessions(mark):
        return found
    return found | set(chain(programs(), mounts(), cgroups(), links(), rules(), states()))


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # the process ended meanwhile


def all_processes() -> Iterator[Path]:
    me = str(os.getpid())
    return (path for path in Path("/proc").glob("[0-9]*") if path.name != me)


def command_line(process: Path) -> str:
    return read(process / "cmdline").replace(b"\0", b" ").decode(errors="replace")


def shown(process: Path) -> str:
    return f"process {process.name}: {command_line(process)[:100].strip() or 'a zombie'}"


def has_living_owner(name: str) -> bool:
    """Whether what bears the name is another run's, or goes when a leftover that is told goes."""
    found = OWNER.search(name)
    return found is not None and Path("/proc", found[1] or found[2]).exists()


def processes(mark: str) -> Iterator[str]:
    """Those that this session started."""
    for process in all_processes():
        found = MARKED.search(read(process / "environ"))
        if found and found[1].decode() == mark:
            yield shown(process)


def other_sessions(mark: str) -> set[str]:
    """Sessions of other test runs that live just now."""
    found = (MARKED.search(read(process / "environ")) for process in all_processes())
    return {
        each[1].decode()
        for each in found
        if each and each[1].decode() != mark and Path("/proc", each[2].decode()).exists()
    }


def programs() -> Iterator[str]:
    """Those in a cgroup of ours, or running a program of ours."""
    for process in all_processes():
        line, groups = command_line(process), read(process / "cgroup").decode()
        if (OURS in groups or PROGRAMS.search(line)) and not has_living_owner(groups + line):
            yield shown(process)


def mounts() -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if OURS in line:
            yield f"mount {line.split()[1]}"


def cgroups() -> Iterator[str]:
    """Directories of ours in every hierarchy of version 1, and in version 2's."""
    for directory, names, _ in os.walk("/sys/fs/cgroup"):
        for name in names:
            if OURS in name and not has_living_owner(name):
                yield f"cgroup {directory}/{name}"


def links() -> Iterator[str]:
    for directory in (Path("/sys/class/net"), Path("/run/netns")):
        yield from (f"network {path}" for path in directory.glob(f"*{OURS}*"))


def rules() -> Iterator[str]:
    if shutil.which("nft"):
        said = subprocess.run(
            ["nft", "list", "ruleset"], capture_output=True, text=True, check=False
        )
        yield from (f"rule {line.strip()}" for line in said.stdout.splitlines() if OURS in line)


def states() -> Iterator[str]:
    """What containers keep while they are there."""
    yield from (f"folder {path}" for path in Path("/run").glob(f"{OURS}/*"))


def scratch() -> Iterator[str]:
    """What runs that are gone wrote in."""
    for path in cache_directory().glob("s[0-9]*"):
        if not Path("/proc", path.name[1:]).exists():
            yield f"folder {path}"
