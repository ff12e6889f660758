"""Processes that outlive their parents, taken in by the lab: conmon and its clean-up, a shim.

Process 1 would wait for them otherwise, and what they used be somebody else's (background_load).
"""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lab.host import processes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_PR_SET_CHILD_SUBREAPER = 36


@contextmanager
def adopting(own: Collection[int]) -> Iterator[None]:
    """For a while, be the parent of what descends from this process and has lost its own.

    They are waited for as they end, since others wait until they are gone. `own` are children whose
    end is somebody's to hear; nothing else may be started here meanwhile. (prctl(2),
    PR_SET_CHILD_SUBREAPER)
    """
    prctl = ctypes.CDLL(None).prctl

    def reap(*_: object) -> None:
        for pid in set(_children()).difference(own):
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    before = signal.signal(signal.SIGCHLD, reap)
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        signal.signal(signal.SIGCHLD, before)
        reap()


def _children() -> list[int]:
    found = []
    for pid in processes.all_pids():
        with suppress(OSError):  # it has ended meanwhile
            if processes.parent(pid) == os.getpid():
                found.append(pid)
    return found
