"""Processes that outlive their parents, taken in by the lab: conmon and its clean-up, a shim.

Process 1 would wait for them otherwise, and what they used be somebody else's (background_load).
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lab.host import processes
from runtime.linux import prctl

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


@contextmanager
def adopting(own: Collection[int]) -> Iterator[None]:
    """For a while, be the parent of what descends from this process and has lost its own.

    They are waited for as they end, since others wait until they are gone. `own` are children whose
    end is somebody's to hear; nothing else may be started here meanwhile. (prctl(2),
    PR_SET_CHILD_SUBREAPER)
    """

    def reap(*_: object) -> None:
        for pid in processes.children().difference(own):
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    before = signal.signal(signal.SIGCHLD, reap)
    prctl.set_child_subreaper(True)
    try:
        yield
    finally:
        prctl.set_child_subreaper(False)
        signal.signal(signal.SIGCHLD, before)
        reap()
