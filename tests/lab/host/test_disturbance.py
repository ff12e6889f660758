"""Disturbances of a round are detected and named; other conditions are not."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

import pytest

from lab.host import background_load, disturbance
from lab.host.background_load import CpuSeconds
from lab.host.disturbance import Reading

QUIET = Reading(
    at_ns=0, cpu_seconds=100.0, steal_seconds=1.0, others={(1, 5): CpuSeconds(3.0, 0.0)}, load=0.1,
    pressure_seconds={"cpu": 1.0, "memory": 0.0, "io": 0.5}, swapped_bytes=0,
    frequencies_mhz=(3000.0, 3000.0), clock_source="tsc",
)  # fmt: skip


def later(**changes: object) -> Reading:
    """Return a reading ten seconds later, on two CPUs, with these changes."""
    quiet = dataclasses.replace(QUIET, at_ns=10_000_000_000, cpu_seconds=120.0)
    return dataclasses.replace(quiet, **changes)  # type: ignore[arg-type]


def test_a_quiet_round_is_not_marked() -> None:
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
def test_a_disturbance_is_named(changes: dict[str, object], reason: str) -> None:
    assert reason in disturbance.between(QUIET, later(**changes)).disturbed


def test_own_load_and_its_pressure_are_no_disturbance() -> None:
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


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
