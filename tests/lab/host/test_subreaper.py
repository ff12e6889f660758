"""Orphans are adopted, and their CPU time counts as that of the lab."""

from __future__ import annotations

import os
import signal
import sys
import time

from lab.host.subreaper import adopting
from tests.lab.burning import BURN, burning

# The child of this shell stays behind and uses CPU time after the shell has ended.
LEAVE = '(sleep 0.1; exec "$0" -c "$1") </dev/null >/dev/null 2>&1 &'


def of_children() -> float:
    """Return the CPU seconds of the children that this process has waited for."""
    used = os.times()
    return used.children_user + used.children_system


def test_an_orphan_is_adopted_and_its_cpu_time_counts() -> None:
    known = burning()
    before = of_children()
    try:
        with adopting([known.pid]):
            # subprocess.run would wait for the process, which `adopting` has to reap.
            os.posix_spawn("/bin/sh", ["sh", "-c", LEAVE, sys.executable, BURN], dict(os.environ))
            known.kill()
            deadline = time.monotonic() + 30
            while of_children() - before < 0.35 and time.monotonic() < deadline:
                time.sleep(0.02)
        assert of_children() - before >= 0.35
        assert known.wait() == -signal.SIGKILL
    finally:
        known.kill()
        known.wait()
