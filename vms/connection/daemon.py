"""A libvirtd started by this process, with its own configuration, state and socket.

It does what the embedded driver can't: outlive the process, and receive a migration. As root
libvirtd has fixed directories, so it runs in a mount namespace where those are below our root.
(mount_namespaces(7); libvirtd(8))
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import libvirt

from vms.connection.embedded import CONFIGURATION, refuse_long, require_account
from vms.errors import Unavailable
from vms.qemu.termination import ended_within

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = "libvirtd"
_START_SECONDS, _STOP_SECONDS, _POLL_SECONDS = 20.0, 15.0, 0.05
_DIRECTORIES = {
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "cache": "/var/cache/libvirt",
    "log": "/var/log/libvirt",
    "run": "/run/libvirt",
    "lock": "/run/lock",  # for consoles; init makes it, so it may be missing in a container
}
_LIBVIRTD = """\
listen_tls = 0
listen_tcp = 0
unix_sock_dir = "{root}"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid = "{host_uuid}"
log_outputs = "3:file:{root}/libvirtd.log"
"""


@contextmanager
def running(root: Path) -> Iterator[str]:
    """Run a libvirtd below `root` and yield its address; stop it and its machines at the end.

    Raise Unavailable if it does not start.
    """
    refuse_long(root)
    require_account()
    program = shutil.which(_PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Unavailable("libvirtd is not installed: apt-get install libvirt-daemon.")
    for name in _DIRECTORIES:
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/qemu.conf").write_text(CONFIGURATION, encoding="utf-8")
    (root / "etc/libvirtd.conf").write_text(_LIBVIRTD.format(root=root, host_uuid=uuid.uuid4()))
    binds = " && ".join(
        f"mkdir -p {target} && mount --bind {root / name} {target}"
        for name, target in _DIRECTORIES.items()
    )
    script = f"{binds} && exec {program} --config {root}/etc/libvirtd.conf --pid-file {root}/pid"
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=(root / "stderr").open("wb"),
    )
    address = f"qemu+unix:///system?socket={root}/libvirt-sock"
    try:
        _await(process, address, root)
        yield address
    finally:
        _stop(process, address)
        _kill_machines(root)


def _await(process: subprocess.Popen[bytes], address: str, root: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if (root / "libvirt-sock").exists():  # libvirt prints to stderr if it does not
            with suppress(libvirt.libvirtError):
                libvirt.open(address).close()
                return
        time.sleep(_POLL_SECONDS)
    lines = (root / "stderr").read_text("utf-8", "replace").strip().splitlines()
    raise Unavailable(f"libvirtd did not start: {lines[-1] if lines else 'it does not answer'}.")


def _stop(process: subprocess.Popen[bytes], address: str) -> None:
    with suppress(libvirt.libvirtError):
        connection = libvirt.open(address)
        for machine in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
            with suppress(libvirt.libvirtError):
                machine.destroy()
        connection.close()
    pidfd = os.pidfd_open(process.pid)
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        if not ended_within(pidfd, _STOP_SECONDS):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    finally:
        os.close(pidfd)
    process.wait()


def _kill_machines(root: Path) -> None:
    """Kill the machines of a libvirtd that ended before it could destroy them."""
    for file in (root / "run/qemu").glob("*.pid"):
        with suppress(OSError, ValueError):
            pidfd = os.pidfd_open(int(file.read_text()))
            try:
                if b"qemu-system" in Path(f"/proc/{file.read_text().strip()}/cmdline").read_bytes():
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    ended_within(pidfd, _STOP_SECONDS)
            finally:
                os.close(pidfd)
