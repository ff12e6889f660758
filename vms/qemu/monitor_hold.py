"""Keep libvirt from hearing of a QEMU's death before its process is gone.

libvirt hears of it by its monitor's end, and then kills the process to be sure: if that is a zombie
still, it waits 200 ms before it looks again. While this process holds QEMU's end of that monitor as
well, it does not end. (pidfd_getfd(2); libvirt, virProcessKillPainfully)
"""

from __future__ import annotations

import ctypes
import socket
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIDFD_GETFD = 438
_MONITOR = "/monitor.sock"
_syscall = ctypes.CDLL(None, use_errno=True).syscall


@contextmanager
def unheard(pid: int, pidfd: int) -> Iterator[None]:
    """Hold QEMU's end of libvirt's monitor while the block runs, if the kernel lets us."""
    with ExitStack() as held:
        with suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                if link.readlink().name.startswith("socket:"):
                    _hold(pidfd, int(link.name), held)
        yield


def _hold(pidfd: int, descriptor: int, held: ExitStack) -> None:
    copied = _syscall(_PIDFD_GETFD, pidfd, descriptor, 0)
    if copied < 0:
        return
    with ExitStack() as unwanted, suppress(OSError):
        end = unwanted.enter_context(socket.socket(fileno=copied))
        if end.family == socket.AF_UNIX and str(end.getsockname()).endswith(_MONITOR):
            end.getpeername()  # the one that is connected, and not the one that listens
            held.enter_context(end)
            unwanted.pop_all()
