"""What workers that died left on the host: found by its names, ended, removed."""

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
_NAME = re.compile(r"tonnage(?:-[a-z]+)+-(\d+)")

# What may be left behind, in the order in which it is ended: the payload, then what started it or
# watches over it, which then cleans up and ends by itself, then the daemons.
_WATCH = ("crun", "runc", "conmon", "podman", "docker")
_DAEMONS = ("dockerd", "containerd", "containerd-shim-runc-v2", "libvirtd")
_MACHINES = ("qemu-system-x86_64", "linux", "linux.uml", "firecracker", "cloud-hypervisor")
_ORDER = ("payload", *_WATCH, *_DAEMONS, *_MACHINES)


def remove_cgroups(family: str) -> list[str]:
    """Remove the cgroups named for a family of instances, in all hierarchies, and say which.

    Those that still hold a process are left alone.
    """
    removed = []
    for top in _cgroups(family):
        for group, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(group).rmdir()
                removed.append(f"removed cgroup {group}")
    return removed


def clean(name: str, scratch: Path) -> list[str]:
    """End and remove what dead workers of the target left: processes, cgroups, folders.

    Returns what was done, a line each.
    """
    done = []
    for pid, program in sorted(_left(name), key=lambda found: _ORDER.index(found[1])):
        _end_process(pid, told=program not in _WATCH)
        done.append(f"ended {program} (process {pid})")
    folders = list(scratch.glob(f"tonnage-{name}-*"))
    for family in sorted({path.name for path in (*folders, *_cgroups(f"tonnage-{name}-*"))}):
        if is_left_by_dead(family):
            done += remove_cgroups(family)
    for folder in folders:
        if is_left_by_dead(folder.name):
            for made in folder.glob(f"{_NOTES}/*"):
                locks.remove_if_unused(made.readlink())
            remove_folder(folder)
            done.append(f"removed {folder}")
    return done


def remove_folder(folder: Path) -> None:
    """Remove a worker's own folder, once no process names it in its command line any more.

    Tools leave helpers behind that tidy up, and one that is killed leaves there what it mounted.
    """
    deadline = time.monotonic() + _END_SECONDS
    while _is_named(folder) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
    scratch_directories.remove(folder)


def note(folder: Path, made: Path) -> None:
    """Note in a worker's folder that it made a directory outside of it, for `clean` to find."""
    notes = folder / _NOTES
    notes.mkdir(exist_ok=True)
    (notes / str(made).replace("/", "-")).symlink_to(made)


def is_left_by_dead(name: str) -> bool:
    """Whether a name is one of ours, and carries the pid of a worker that runs no more."""
    owner = _NAME.match(name)
    return owner is not None and b"lab.targets.worker" not in processes.command_line(int(owner[1]))


def _cgroups(family: str) -> Iterator[Path]:
    """The cgroups of that name, or whose name goes on with a number; v1 has many hierarchies."""
    for hierarchy in (_CGROUPS, *(path for path in _CGROUPS.iterdir() if path.is_dir())):
        yield from hierarchy.glob(family)
        yield from hierarchy.glob(f"{family}-*")


def _left(name: str) -> Iterator[tuple[int, str]]:
    """Processes whose command line names a dead worker of the target, with their program's name."""
    for pid in processes.all_pids():
        command_line = processes.command_line(pid)
        program = Path(os.fsdecode(command_line.partition(b"\0")[0])).name
        family = re.search(rf"tonnage-{name}-\d+".encode(), command_line)
        if program in _ORDER and family and is_left_by_dead(family[0].decode()):
            yield pid, program


def _is_named(folder: Path) -> bool:
    name = os.fsencode(folder)
    return any(name in processes.command_line(pid) for pid in processes.all_pids())


def _end_process(pid: int, *, told: bool) -> None:
    """End a process: one that only watches over a payload ends by itself, others are told to."""
    with contextlib.suppress(ProcessLookupError), processes.handle_of(pid) as handle:
        if told:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not processes.ended(handle, time.monotonic_ns() + int(_END_SECONDS * 1e9)):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            processes.ended(handle, time.monotonic_ns() + int(_END_SECONDS * 1e9))
