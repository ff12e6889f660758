"""Usage of files and processes, compared with files and processes of known size."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.experiments import host_limits
from lab.host.disk_usage import usage
from lab.host.process_usage import activity, cgroup_memory_bytes, memory
from lab.statistics.percentiles import percentile

MIB = 1 << 20


def test_a_hole_is_apparent_and_not_allocated(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(64 * MIB)
    (tmp_path / "full").write_bytes(os.urandom(MIB))
    (tmp_path / "link").hardlink_to(tmp_path / "full")
    os.sync()
    usage_of_tree = usage([tmp_path])
    assert usage_of_tree.apparent >= 65 * MIB
    assert MIB <= usage_of_tree.allocated < 2 * MIB
    assert usage_of_tree.unique == usage_of_tree.allocated


def test_memory_and_cpu_of_a_process_that_works() -> None:
    script = "b = bytearray(64 << 20)\nprint(len(b), flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        before = activity([process.pid])
        time.sleep(0.3)
        after, used = activity([process.pid]), memory([process.pid])
        process.kill()
    assert 64 * MIB < used.pss <= used.rss < 128 * MIB
    assert 0 < after.cpu_ns - before.cpu_ns < 600_000_000


def test_a_process_that_ended_takes_nothing() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert memory([process.pid]).rss == 0
    assert activity([process.pid]).cpu_ns == 0


def test_a_cgroup_that_is_ours_too_tells_nothing_of_a_process() -> None:
    assert cgroup_memory_bytes(os.getpid()) is None


def test_a_limit_is_named_with_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ": " in host_limits.met(tmp_path, margin=0.0)
    monkeypatch.setattr(
        host_limits,
        "_limits",
        lambda _: [host_limits.Limit("a", 1, 4), host_limits.Limit("b", 99, 100)],
    )
    assert host_limits.met(tmp_path) == "b: 99 of 100"
    assert host_limits.met(tmp_path, margin=0.995) == ""


@pytest.mark.parametrize(
    ("reason", "limit"),
    [
        ("A container did not start: Can't open it: Too many open files", "file descriptors"),
        ("Can't open /dev/null, to mount it: too many open files.", "file descriptors"),
        ("fork: Resource temporarily unavailable", "processes"),
        ("crun: clone: No space left on device", "disk, memory cgroups, or namespaces"),
        ("it hung", ""),
    ],
)
def test_the_reason_of_a_failed_start_names_a_limit(reason: str, limit: str) -> None:
    assert host_limits.of_failure(reason).startswith(limit)
    assert bool(host_limits.of_failure(reason)) == bool(limit)


@pytest.mark.parametrize(
    ("values", "share", "value"),
    [([3.0, 1.0, 2.0], 50, 2.0), ([1.0, 2.0], 50, 1.5), ([1.0, 2.0], 100, 2.0), ([5.0], 99, 5.0)],
)
def test_a_percentile_lies_between_the_nearest_ranks(
    values: list[float], share: float, value: float
) -> None:
    assert percentile(values, share) == value
