"""Adoption of processes that outlive their parents, such as conmon, its clean-up, or a shim.

Without it they would become children of process 1, and their CPU time would count as that of
foreign processes (lab.host.background_load).
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
    """Adopt orphaned descendants during the block, and reap them as soon as they end.

    They are reaped at once because targets wait until they have disappeared. The children in `own`
    are left to the code that started them; nothing else may be started during the block.
    (prctl(2), PR_SET_CHILD_SUBREAPER)
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
