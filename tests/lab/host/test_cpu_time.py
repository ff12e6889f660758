"""CPU time counts work in every process of a worker, and no waiting."""

from __future__ import annotations

import subprocess
import sys
import time

from lab.host import cpu_time

BURN = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass\n"


def test_waiting_uses_nothing() -> None:
    before = cpu_time.used_ns()
    time.sleep(0.2)
    assert cpu_time.used_ns() - before < 0.15e9


def test_own_work_counts() -> None:
    before = cpu_time.used_ns()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    assert cpu_time.used_ns() - before >= 0.19e9


def test_a_child_counts_while_it_runs_and_after_it_ended() -> None:
    before = cpu_time.used_ns()
    child = subprocess.Popen(
        [sys.executable, "-c", BURN.format(0.3) + "print(flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    child.stdout.readline()
    assert cpu_time.used_ns() - before >= 0.29e9
    child.communicate(b"\n")
    assert cpu_time.used_ns() - before >= 0.29e9


def test_a_grandchild_that_was_waited_for_counts() -> None:
    before = cpu_time.used_ns()
    script = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN.format(0.3)!r}]);"
        "print(flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    used = cpu_time.used_ns() - before
    child.communicate(b"\n")
    assert used >= 0.27e9  # the grandchild's time is rounded to ticks of user and system time
