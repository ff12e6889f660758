"""libvirt's QEMU driver embedded in this process: no daemon, a root directory of its own.

One process has one such root, and one root one process: it holds a lock on the directory for as
long as it lives, by which others tell what a dead one has left. (libvirt, "Embedded QEMU driver",
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
from vms.errors import MachineError
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
_LONGEST_ROOT = 60  # what is left of a UNIX socket's 107 bytes goes to names below it. (unix(7))
_KILL_SECONDS = 10.0
_QEMU = re.compile(rb"[^\0]*qemu-system-")
_GUEST = re.compile(rb"\0guest=([^,\0]+)")
SOCKETS = "s"

_held: dict[Path, int] = {}  # the roots of this process, by the descriptor that is locked


def prepare(root: Path) -> str:
    """Make the root ready, and this process its owner; the address to open.

    What a dead owner has left running there is killed first. Raises MachineError if the root is
    another process's, or the host lacks what libvirt needs.
    """
    refuse_long(root)
    _refuse_odd(root)
    require_account()
    claim(root)
    # Where libvirt looks differs between its versions.
    for path in (root / "etc/qemu.conf", root / "etc/qemu/qemu.conf"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CONFIGURATION, encoding="utf-8")
    _share_capabilities(root)
    return address_of(root)


def address_of(root: Path) -> str:
    """Return the address of a libvirt that is embedded below a root."""
    return f"qemu:///embed?root={quote(str(root))}"


def _share_capabilities(root: Path) -> None:
    """Have all roots keep in one place what libvirt finds out about QEMU.

    To ask one takes seconds. libvirt itself asks again when QEMU, the kernel, the CPU or its own
    version is another, and writes its answers aside and renames them.
    """
    kept, here = paths.capabilities(), root / "cache/qemu/capabilities"
    if here.exists():
        return
    with suppress(OSError):  # without it, libvirt asks
        kept.mkdir(mode=0o700, parents=True, exist_ok=True)
        here.parent.mkdir(parents=True, exist_ok=True)
        here.symlink_to(kept)


def refuse_long(root: Path) -> None:
    """Raise MachineError if sockets below the root would have too long a name."""
    if len(os.fsencode(root)) > _LONGEST_ROOT:
        raise MachineError(f"{root} is too long for sockets below it: choose a shorter path.")


def _refuse_odd(root: Path) -> None:
    """Raise MachineError for a root that libvirt can't work below.

    It asks QEMU what it can do by a socket whose path it does not quote, and its own files are XML.
    """
    if "," in str(root) or not constraints.fits_xml(root):
        raise MachineError(
            f"libvirt can't work below {str(root)!r}, for its comma, control characters or bytes"
            " that are no UTF-8: choose another folder (TONNAGE_STATE)."
        )


def claim(root: Path) -> None:
    """Make the root, and this process its owner. Raises MachineError if it is another one's."""
    if root in _held:
        return
    root.mkdir(parents=True, exist_ok=True)
    held = try_lock(root)
    if held is None:
        raise MachineError(f"Another process has its machines below {root}: choose another.")
    _held[root] = held
    _sweep(root)


def release(root: Path) -> None:
    """Let go of a root in which nothing of this process runs any more."""
    if root in _held:
        os.close(_held.pop(root))


def is_owned(root: Path) -> bool:
    """Whether a living process has its machines there."""
    with _claimed(root) as claimed:
        return root.is_dir() and not claimed


def clean(root: Path) -> list[str]:
    """Kill the machines that a process which is gone left below `root`; remove it.

    A QEMU is known by the pid file there and by the root in its command line. What a living
    process owns is left alone. Returns what was done, a line each.
    """
    with _claimed(root) as claimed:
        if not claimed:
            return []
        done = _sweep(root)
        shutil.rmtree(root)
        return [*done, f"removed {root}"]


def pid_file(root: Path, name: str) -> Path:
    """Where libvirt writes which process a machine's QEMU is."""
    return root / "run/qemu" / f"{name}.pid"


def _sweep(root: Path) -> list[str]:
    """Kill what still runs there and remove what is only of use while it runs."""
    done = []
    while found := list(_emulators(root)):
        for pid, what in found:
            with suppress(ProcessLookupError):
                pidfd = os.pidfd_open(pid)
                try:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    ended_within(pidfd, _KILL_SECONDS)
                finally:
                    os.close(pidfd)
                done.append(f"killed {what} (process {pid})")
    for left in (root / "run", root / SOCKETS, *root.glob("lib/qemu/domain-*")):
        shutil.rmtree(left, ignore_errors=True)
    return done


def _emulators(root: Path) -> Iterator[tuple[int, str]]:
    """The QEMUs whose command line leads below the root, and what each is there for.

    libvirt's pid files tell of machines; but it also asks QEMUs that are none what they can do.
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
                named = _GUEST.search(line)
                what = f"machine {named[1].decode()}" if named else "a QEMU that was being asked"
                yield int(process.name), what


@contextmanager
def _claimed(root: Path) -> Iterator[bool]:
    """Whether the directory is there and nobody's; while the block runs it is this process's."""
    held = try_lock(root) if root.is_dir() else None
    try:
        yield held is not None
    finally:
        if held is not None:
            os.close(held)


def require_account() -> None:
    """Raise MachineError if the account is not there that libvirt's QEMU driver looks up."""
    try:
        pwd.getpwnam(_ACCOUNT)
    except KeyError as error:
        raise MachineError(
            f"libvirt wants an account {_ACCOUNT} on this host: make setup, or adduser --system"
            f" --group --no-create-home {_ACCOUNT}."
        ) from error
