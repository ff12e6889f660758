"""Processes that outlive their parents, taken in by the lab: conmon and its clean-up, a shim.

Process 1 would wait for them otherwise, and what they used be somebody else's (lab.tenants).
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.targets import processes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

_PR_SET_CHILD_SUBREAPER = 36


class Orphans:
    """While it lasts, what descends from this process has it for a parent once its own is gone.

    (prctl(2), PR_SET_CHILD_SUBREAPER)
    """

    def __enter__(self) -> Self:
        self._before = set(_children())
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        return self

    def reap(self, own: Iterable[int]) -> None:
        """Wait for those that have ended; `own` are children that others will wait for."""
        for pid in set(_children()).difference(self._before, own):
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    def __exit__(self, *_: object) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _children() -> list[int]:
    found = []
    for pid in processes.all_pids():
        with suppress(OSError):  # it has ended meanwhile
            if processes.parent(pid) == os.getpid():
                found.append(pid)
    return found
