"""libvirt's QEMU driver embedded in this process: no daemon, and a root directory of its own.

A process has one such root, and a root one process. The process holds a lock on the directory for
as long as it lives; an unlocked root belongs to a dead process. (libvirt, "Embedded QEMU driver",
drvqemu.html; flock(2))
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from vms import paths
from vms.description import constraints
from vms.errors import InUse, InvalidDescription, Unavailable
from vms.qemu.termination import ended_within
from vms.storage.locks import try_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACCOUNT = "libvirt-qemu"
CONFIGURATION = """\
stdio_handler = "file"
security_driver = "none"
user = "root"
group = "root"
cgroup_controllers = []
namespaces = []
remember_owner = 0
"""
_LONGEST_ROOT = 60  # of a UNIX socket's 107 bytes; names below the root need the rest. (unix(7))
_KILL_SECONDS = 10.0
_QEMU = re.compile(rb"[^\0]*qemu-system-")
_GUEST = re.compile(rb"\0guest=([^,\0]+)")
SOCKETS = "s"

_locks: dict[Path, int] = {}  # the roots of this process, and their locked descriptors


def prepare(root: Path) -> str:
    """Prepare the root, make this process its owner, and return the address to open.

    Machines that a dead owner left running there are killed first. Raise InUse if the root belongs
    to another process, InvalidDescription for an unusable path, and Unavailable if the host lacks
    the account that libvirt needs.
    """
    refuse_long(root)
    _refuse_unusable(root)
    require_account()
    claim(root)
    # The path of the file differs between versions of libvirt.
    for path in (root / "etc/qemu.conf", root / "etc/qemu/qemu.conf"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CONFIGURATION, encoding="utf-8")
    _share_capabilities(root)
    return address_of(root)


def address_of(root: Path) -> str:
    """Return the address of a libvirt that is embedded below the root."""
    return f"qemu:///embed?root={quote(str(root))}"


def _share_capabilities(root: Path) -> None:
    """Share libvirt's cache of QEMU's capabilities between all roots.

    A query takes seconds. libvirt itself repeats it when QEMU, the kernel, the CPU or libvirt has
    changed, and replaces the cache's files atomically.
    """
    shared, own = paths.capabilities(), root / "cache/qemu/capabilities"
    if own.exists():
        return
    with suppress(OSError):  # without the shared cache libvirt queries QEMU
        shared.mkdir(mode=0o700, parents=True, exist_ok=True)
        own.parent.mkdir(parents=True, exist_ok=True)
        own.symlink_to(shared)


def refuse_long(root: Path) -> None:
    """Raise InvalidDescription if the paths of sockets below the root would be too long."""
    if len(os.fsencode(root)) > _LONGEST_ROOT:
        raise InvalidDescription(
            f"{root} is too long a path for sockets below it: choose a path of at most"
            f" {_LONGEST_ROOT} bytes."
        )


def _refuse_unusable(root: Path) -> None:
    """Raise InvalidDescription for a root that libvirt can't use.

    It does not quote the path of the socket by which it queries QEMU, and its own files are XML.
    """
    if "," in str(root) or not constraints.fits_xml(root):
        raise InvalidDescription(
            f"libvirt can't use the directory {str(root)!r}: its path contains a comma, a control"
            " character or bytes that are not UTF-8; choose another directory (TONNAGE_STATE)."
        )


def claim(root: Path) -> None:
    """Make the root, and this process its owner. Raise InUse if another process owns it."""
    if root in _locks:
        return
    root.mkdir(parents=True, exist_ok=True)
    descriptor = try_lock(root)
    if descriptor is None:
        raise InUse(
            f"Another process has its machines below {root}: choose another directory, or wait"
            " until that process ends."
        )
    _locks[root] = descriptor
    _sweep(root)


def release(root: Path) -> None:
    """Give up a root in which nothing of this process runs any more."""
    if root in _locks:
        os.close(_locks.pop(root))


def is_owned(root: Path) -> bool:
    """Return True if a living process has its machines below the root."""
    with _claimed(root) as claimed:
        return root.is_dir() and not claimed


def clean(root: Path) -> list[str]:
    """Kill the machines that a dead process left below the root; remove the root.

    Return a line for each step. A QEMU is recognized by its pid file there, or by the root in its
    command line. The root of a living process is left alone.
    """
    with _claimed(root) as claimed:
        if not claimed:
            return []
        killed = _sweep(root)
        shutil.rmtree(root)
        return [*killed, f"removed {root}"]


def _sweep(root: Path) -> list[str]:
    """Kill QEMUs that still run below the root; remove the files of running machines."""
    killed = []
    while emulators := list(_emulators(root)):
        for pid, purpose in emulators:
            with suppress(ProcessLookupError):
                pidfd = os.pidfd_open(pid)
                try:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    ended_within(pidfd, _KILL_SECONDS)
                finally:
                    os.close(pidfd)
                killed.append(f"killed {purpose} (process {pid})")
    for path in (root / "run", root / SOCKETS, *root.glob("lib/qemu/domain-*")):
        shutil.rmtree(path, ignore_errors=True)
    return killed


def _emulators(root: Path) -> Iterator[tuple[int, str]]:
    """Yield the QEMUs whose command line names the root, and the purpose of each.

    libvirt writes pid files for machines, but not for QEMUs that it only queries.
    """
    for file in sorted(root.glob("run/qemu/*.pid")):
        with suppress(OSError, ValueError):
            pid = int(file.read_text())
            if os.fsencode(root) in Path(f"/proc/{pid}/cmdline").read_bytes():
                yield pid, f"machine {file.stem}"
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            line = (process / "cmdline").read_bytes()
            if _QEMU.match(line) and os.fsencode(root) + b"/" in line:
                name = _GUEST.search(line)
                purpose = f"machine {name[1].decode()}" if name else "a QEMU that was queried"
                yield int(process.name), purpose


@contextmanager
def _claimed(root: Path) -> Iterator[bool]:
    """Lock the root while the block runs; yield False if it is absent, or locked already."""
    descriptor = try_lock(root) if root.is_dir() else None
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def require_account() -> None:
    """Raise Unavailable if the account that libvirt's QEMU driver looks up does not exist."""
    try:
        pwd.getpwnam(_ACCOUNT)
    except KeyError as error:
        raise Unavailable(
            f"libvirt needs an account {_ACCOUNT} on this host: make setup, or adduser --system"
            f" --group --no-create-home {_ACCOUNT}."
        ) from error
