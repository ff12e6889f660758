"""QEMUs that end as they start, reaped at once.

libvirt makes QEMU a daemon, waits until one that it killed is gone, and a zombie is not gone until
its parent has reaped it: process 1 of some hosts takes seconds.
"""

from __future__ import annotations

import ctypes
import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PR_SET_CHILD_SUBREAPER = 36
_REAP_SECONDS = 0.02


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Become the parent of the QEMU that libvirt starts meanwhile; one that ends is reaped.

    (prctl(2), PR_SET_CHILD_SUBREAPER)
    """
    prctl = ctypes.CDLL(None).prctl
    started = threading.Event()
    reaper = threading.Thread(target=_reap_until, args=(started,), daemon=True)
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    reaper.start()
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        started.set()
        reaper.join()


def _reap_until(started: threading.Event) -> None:
    """Reap QEMUs that end before `started`, and nobody else's children. (waitid(2))"""
    while not started.wait(_REAP_SECONDS):
        with suppress(ChildProcessError, FileNotFoundError):
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            name = Path(f"/proc/{ended.si_pid}/comm").read_text() if ended else ""
            if ended and name.startswith("qemu-system"):
                os.waitpid(ended.si_pid, os.WNOHANG)
