"""Delay libvirt's notice of a QEMU's death until the process is gone.

libvirt notices the death when its monitor connection ends, and then kills the process to be sure.
If the process is still a zombie, libvirt waits 200 ms before it looks again. While this process
holds a copy of QEMU's end of the connection, the connection does not end. (pidfd_getfd(2); libvirt,
virProcessKillPainfully)
"""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vms import linux

if TYPE_CHECKING:
    from collections.abc import Iterator

_MONITOR = "/monitor.sock"


@contextmanager
def monitor_held(pid: int, pidfd: int) -> Iterator[None]:
    """Hold QEMU's end of libvirt's monitor while the block runs, if the kernel permits it."""
    with ExitStack() as copies:
        with suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                if link.readlink().name.startswith("socket:"):
                    _hold_if_monitor(pidfd, int(link.name), copies)
        yield


def _hold_if_monitor(pidfd: int, descriptor: int, copies: ExitStack) -> None:
    """Copy the descriptor; keep the copy only if it is the connected socket of the monitor."""
    with ExitStack() as unneeded, suppress(OSError):
        copy = socket.socket(fileno=linux.pidfd_getfd(pidfd, descriptor))
        unneeded.enter_context(copy)
        if copy.family == socket.AF_UNIX and str(copy.getsockname()).endswith(_MONITOR):
            copy.getpeername()  # fails for the listening socket, which has the same name
            copies.enter_context(copy)
            unneeded.pop_all()
