"""Memory, CPU time and cgroup charge of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from lab.host.process_usage import activity, cgroup_memory_bytes, memory

MIB = 1 << 20


def test_memory_and_cpu_of_a_process_that_works() -> None:
    script = "b = bytearray(64 << 20)\nprint(len(b), flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        begin_ns = time.monotonic_ns()
        before = activity([process.pid])
        time.sleep(0.3)
        after, used = activity([process.pid]), memory([process.pid])
        elapsed_ns = time.monotonic_ns() - begin_ns
        process.kill()
    assert 64 * MIB < used.pss <= used.rss < 128 * MIB
    assert 0 < after.cpu_ns - before.cpu_ns < elapsed_ns + 20_000_000  # two ticks of the clock


def test_an_ended_process_uses_nothing() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert memory([process.pid]).rss == 0
    assert activity([process.pid]).cpu_ns == 0


def test_a_shared_cgroup_gives_no_figure() -> None:
    assert cgroup_memory_bytes(os.getpid()) is None
