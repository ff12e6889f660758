"""Clean-up after dead workers: find their processes, cgroups and directories by name."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.host import processes
from lab.host import scratch as scratch_directories
from vms.storage import locks

if TYPE_CHECKING:
    from collections.abc import Iterator

_CGROUPS = Path("/sys/fs/cgroup")
_END_SECONDS = 5.0
_PAUSE_SECONDS = 0.02
_NOTES = "made"
_NAME = re.compile(r"tonnage(?:-[a-z][a-z0-9]*)+-(\d+)")
_FOLDER = re.compile(r"tonnage-([a-z][a-z0-9-]*)-\d+")

# Programs that may be left, in the order in which they are ended: the payload, then the programs
# that monitor it, which clean up and exit by themselves, then daemons and VMMs.
_MONITORS = ("crun", "runc", "conmon", "podman", "docker", "lxc-start")
_DAEMONS = (
    "dockerd",
    "containerd",
    "containerd-shim-runc-v2",
    "libvirtd",
    "docker-registry",
)
_MACHINES = ("qemu-system-x86_64", "linux", "linux.uml", "firecracker", "cloud-hypervisor")
_ORDER = ("payload", *_MONITORS, *_DAEMONS, *_MACHINES)


def remove_cgroups(family: str) -> list[str]:
    """Remove the cgroups of a family of instances in all hierarchies; return a line for each.

    Cgroups that still contain a process stay.
    """
    removed = []
    for top in _cgroups(family):
        for group, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(group).rmdir()
                removed.append(f"removed cgroup {group}")
    return removed


def clean(name: str, scratch: Path) -> list[str]:
    """End the processes and remove the cgroups and directories that dead workers left.

    Return a line for each action.
    """
    actions = []
    for pid, program in sorted(_left(name), key=lambda process: _ORDER.index(process[1])):
        _end_process(pid, terminate=program not in _MONITORS)
        actions.append(f"ended {program} (process {pid})")
    pattern = f"tonnage-{name}-[0-9]*"  # without the names that begin like this one
    folders = list(scratch.glob(pattern))
    for family in sorted({path.name for path in (*folders, *_cgroups(pattern))}):
        if is_left_by_dead(family):
            actions += remove_cgroups(family)
    for folder in folders:
        if is_left_by_dead(folder.name):
            for record in filter(Path.is_symlink, folder.glob(f"{_NOTES}/*")):
                locks.remove_if_unused(record.readlink())
            remove_folder(folder)
            actions.append(f"removed {folder}")
    return actions


def names(scratch: Path) -> set[str]:
    """Return the names of the targets, registered or not, that have a folder in `scratch`."""
    found = (_FOLDER.fullmatch(path.name) for path in scratch.glob("tonnage-*"))
    return {each[1] for each in found if each}


def remove_folder(folder: Path) -> None:
    """Remove a worker's directory once no process has it in its command line any more.

    Tools start helpers that clean up, and a killed helper leaves its mounts there.
    """
    deadline = time.monotonic() + _END_SECONDS
    while _is_named(folder) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
    scratch_directories.remove(folder)


def note(folder: Path, directory: Path) -> None:
    """Record in a worker's directory that it made another directory, so that `clean` finds it."""
    notes = folder / _NOTES
    notes.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (notes / str(directory).replace("/", "-")).symlink_to(directory)


def is_left_by_dead(name: str) -> bool:
    """Return True if a name is the lab's and contains the pid of a worker that no longer runs."""
    owner = _NAME.match(name)
    return owner is not None and b"lab.targets.worker" not in processes.command_line(int(owner[1]))


def _cgroups(family: str) -> Iterator[Path]:
    """Yield the cgroups of that name, also with a suffix, in all hierarchies.

    Tools make them at the top, below the cgroup of their own process, or, as LXC does, below that
    of process 1, which is not the top in a container.
    """
    parents = {"", *_cgroup_paths("self"), *_cgroup_paths("1")}
    for hierarchy in (_CGROUPS, *(path for path in _CGROUPS.iterdir() if path.is_dir())):
        for parent in parents:
            yield from (hierarchy / parent).glob(family)
            yield from (hierarchy / parent).glob(f"{family}-*")


def _cgroup_paths(pid: str) -> Iterator[str]:
    """Yield the paths of a process's cgroups in their hierarchies. (cgroups(7))"""
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines():
        yield line.split(":", 2)[2].strip("/")


def _left(name: str) -> Iterator[tuple[int, str]]:
    """Yield the pid and program of each process with a dead worker's name in its command line."""
    for pid in processes.all_pids():
        command_line = processes.command_line(pid)
        program = Path(os.fsdecode(command_line.partition(b"\0")[0])).name
        family = re.search(rf"tonnage-{name}-\d+".encode(), command_line)
        if program in _ORDER and family and is_left_by_dead(family[0].decode()):
            yield pid, program


def _is_named(folder: Path) -> bool:
    name = os.fsencode(folder)
    return any(name in processes.command_line(pid) for pid in processes.all_pids())


def _end_process(pid: int, *, terminate: bool) -> None:
    """End a process: by SIGTERM, or by waiting if it ends by itself, and finally by SIGKILL."""
    with contextlib.suppress(ProcessLookupError), processes.handle_of(pid) as handle:
        if terminate:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not processes.ended(handle, time.monotonic_ns() + int(_END_SECONDS * 1e9)):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            processes.ended(handle, time.monotonic_ns() + int(_END_SECONDS * 1e9))
