"""Processes that use a known amount of CPU time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

BURN = (
    "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\ninput()"
)


def burning(*arguments: str) -> subprocess.Popen[bytes]:
    """Start a process that uses 0.4 s of CPU time and then waits for its stdin."""
    process = subprocess.Popen([sys.executable, "-c", BURN, *arguments], stdin=subprocess.PIPE)
    while cpu_seconds(process.pid) < 0.35:
        time.sleep(0.02)
    return process


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
