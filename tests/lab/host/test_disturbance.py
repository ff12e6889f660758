"""Disturbances of a round are detected and named; other conditions are not."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.host import background_load, disturbance
from lab.host.background_load import CpuSeconds
from lab.host.disturbance import Reading
from lab.host.subreaper import adopting

QUIET = Reading(
    at_ns=0, cpu_seconds=100.0, steal_seconds=1.0, others={(1, 5): CpuSeconds(3.0, 0.0)}, load=0.1,
    pressure_seconds={"cpu": 1.0, "memory": 0.0, "io": 0.5}, swapped_bytes=0,
    frequencies_mhz=(3000.0, 3000.0), clock_source="tsc",
)  # fmt: skip


def later(**changes: object) -> Reading:
    """Return a reading ten seconds later, on two CPUs, with these changes."""
    quiet = dataclasses.replace(QUIET, at_ns=10_000_000_000, cpu_seconds=120.0)
    return dataclasses.replace(quiet, **changes)  # type: ignore[arg-type]


def test_a_calm_round_is_not_marked() -> None:
    conditions = disturbance.between(QUIET, later())
    assert conditions.disturbed == ""
    assert conditions.seconds == 10.0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steal_seconds": 2.0}, "steal took 5% of the CPUs"),
        (
            {"others": {(1, 5): CpuSeconds(3.0, 0.0), (9, 70): CpuSeconds(10.0, 0.0)}},
            "other processes used 50% of the CPUs",
        ),
        ({"swapped_bytes": 5 << 20}, "5 MiB were swapped"),
        ({"frequencies_mhz": (3000.0, 1500.0)}, "a CPU ran at 1500 to 3000 MHz"),
        ({"clock_source": "hpet"}, "the clock source changed to hpet"),
        (
            {"pressure_seconds": {"cpu": 1.0, "memory": 2.0, "io": 0.5}},
            "some process waited for memory in",
        ),
    ],
)
def test_what_disturbed_a_round_is_named(changes: dict[str, object], reason: str) -> None:
    assert reason in disturbance.between(QUIET, later(**changes)).disturbed


def test_our_own_load_and_its_pressure_disturb_nothing() -> None:
    pressure = {"cpu": 9.0, "memory": 0.0, "io": 8.0}
    conditions = disturbance.between(QUIET, later(load=9.0, pressure_seconds=pressure))
    assert (conditions.disturbed, conditions.pressure_cpu, conditions.load) == ("", 0.8, 9.0)


def test_this_host_can_be_read(tmp_path: Path) -> None:
    foreign = background_load.BackgroundLoad(os.getpid(), tmp_path)
    before = disturbance.read(foreign)
    time.sleep(0.05)
    conditions = disturbance.between(before, disturbance.read(foreign))
    assert 0.05 <= conditions.seconds < 5
    assert 0 <= conditions.steal_share <= 1
    assert conditions.clock_source


def test_what_a_child_used_before_is_not_counted_again_when_it_ends() -> None:
    before = {(1, 1): CpuSeconds(0.0, 5.0), (2, 9): CpuSeconds(60.0, 1.0)}
    after = {(1, 1): CpuSeconds(0.5, 5.0 + 63.0)}
    assert background_load.used_between(before, after) == pytest.approx(2.5)
    ended_unseen = {(1, 1): CpuSeconds(0.5, 5.0)}
    assert background_load.used_between(before, ended_unseen) == pytest.approx(0.5)


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


def test_others_are_told_from_ours(tmp_path: Path) -> None:
    """Processes are foreign to another measurement, except those that name its directory."""
    elsewhere = subprocess.Popen(["sleep", "60"])
    foreign = background_load.BackgroundLoad(elsewhere.pid, tmp_path / "scratch")
    mine = background_load.BackgroundLoad(os.getpid(), tmp_path / "scratch")
    before = foreign.read()
    stranger, named = burning(), burning(str(tmp_path / "scratch" / "disk.qcow2"))
    try:
        after = foreign.read()
        pids = {pid for pid, _ in after}
        assert stranger.pid in pids
        assert named.pid not in pids
        assert elsewhere.pid not in pids
        assert background_load.used_between(before, after) >= 0.35
        assert {stranger.pid, named.pid, os.getpid()}.isdisjoint(pid for pid, _ in mine.read())
    finally:
        for process in (stranger, named, elsewhere):
            process.kill()
            process.wait()


# The child of this shell stays behind and uses CPU time after the shell has ended.
LEAVE = '(sleep 0.1; exec "$0" -c "$1") </dev/null >/dev/null 2>&1 &'


def of_children() -> float:
    """Return the CPU seconds of the children that this process has waited for."""
    used = os.times()
    return used.children_user + used.children_system


def test_an_orphan_is_taken_in_and_what_it_used_is_ours() -> None:
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
