"""Experiments on real targets: figures that must hold on any host."""

from __future__ import annotations

import csv
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lab.experiments import burst, density, footprint, host_limits, isolation, profiles, startup
from lab.host import kernel_costs
from lab.host.scratch import scratch_directory
from lab.results.sample import Sample
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build

QUICK = profiles.PROFILES["quick"]
MIB = 1 << 20


@contextmanager
def started_worker(target: str) -> Iterator[Worker]:
    land = build.build(lambda _: None)
    with scratch_directory() as scratch, Worker(target, Settings(land, scratch, "tcg")) as worker:
        yield worker


def by_metric(samples: list[Sample]) -> dict[str, Sample]:
    return {sample.metric: sample for sample in samples}


def quiet(_: str) -> None:
    pass


def test_limits_hold_and_neighbours_are_hidden() -> None:
    with started_worker("container") as worker:
        granted = worker.call(120, isolation.take_all)
    assert 0.1 < granted["cpus-granted"] < 0.55  # a busy host grants less
    assert 0.8 * 256 * MIB < granted["memory-granted"] < 256 * MIB
    assert granted["processes-granted"] == 62  # of 64: the payload and the shell are two
    assert granted["neighbours-seen"] == 0


def test_a_container_shares_kernel_files_and_page_cache_and_idles() -> None:
    with started_worker("container") as worker:
        values = by_metric(footprint.measure(worker, 0, QUICK, quiet))
    assert values["own-kernel"].value == 0
    assert values["same-user-land"].value == values["processes-inside"].value == 1
    assert 0 < (values["pss"].value or 0) <= (values["rss"].value or 0) < 4 * MIB
    assert 0 < (values["cgroup-memory"].value or 0) < 4 * MIB
    assert (values["page-cache-again"].value or 0) < 8 * MIB
    assert (values["idle-cpu"].value or 0) < 0.01
    assert (values["image-unique"].value or 0) <= (values["image-on-disk"].value or 0)
    assert (values["move"].value or 0) > 0


def test_bursts_double_up_to_the_maximum() -> None:
    small = replace(QUICK, burst=profiles.Burst(4, 1))
    with started_worker("crun") as worker:
        samples = burst.measure(worker, 0, small, quiet)
    rates = {s.position: s.value or 0 for s in samples if s.metric == "started-per-second"}
    assert sorted(rates) == [1, 2, 4]
    assert all(rate > 0 for rate in rates.values())
    spread = {s.metric: s.value or 0 for s in samples if s.position == 4}
    assert spread["latency-p50"] <= spread["latency-p95"] <= spread["latency-p99"]


def test_the_steps_of_a_machine_have_no_gap() -> None:
    with started_worker("microvm") as worker:
        start = worker.call(120, startup.start_and_stop)
    names = [span.step for span in start.spans]
    assert names[:2] == ["clone the disk", "libvirt and QEMU"]
    assert {"kernel", "init", "until it answers"} <= set(names)
    assert all(span.begin_ns <= span.end_ns for span in start.spans)
    traced = sum(span.end_ns - span.begin_ns for span in start.spans)
    assert traced == pytest.approx(start.reached["ready"], rel=0.05)


def test_the_steps_of_a_container_have_no_gap() -> None:
    with started_worker("container") as worker:
        timed = worker.call(60, startup.start_and_stop)
        spans = worker.call(60, startup.trace_steps)
    assert timed.spans == []
    names = [span.step for span in spans]
    expected = ["plan the cgroup", "clone", "overlay", "mounts", "pivot", "seccomp", "exec"]
    assert [name for name in names if name in expected] == expected
    assert [span.end_ns for span in spans[:-1]] == [span.begin_ns for span in spans[1:]]
    assert all(span.begin_ns <= span.end_ns for span in spans)


def test_a_filling_records_the_costs_of_the_hosts_past() -> None:
    few = replace(QUICK, density=replace(QUICK.density, containers=200))
    with started_worker("container") as worker:
        samples = by_metric(density.measure(worker, 0, few, quiet))
    for kind in ("memory cgroup", "network namespace", "mount"):
        before, after = (samples[f"kernel {when}: {kind}"] for when in ("before", "after"))
        for sample in (before, after):  # 0 if other processes free memory meanwhile
            assert sample.value is not None
            assert 0 <= sample.value < 8 * MIB
        assert "dying cgroups" in after.note
    each = samples["memory-per-instance-available"]
    assert "an empty memory cgroup took" in each.note
    first, last = (samples[f"memory: each of the {part}"] for part in ("first", "last"))
    assert first.note.startswith("from 0 to")
    assert last.note.endswith("to 200")


def test_costs_are_measured_again_after_a_measurement_was_killed() -> None:
    killed = subprocess.Popen(
        [sys.executable, "-m", "lab.host.kernel_costs"], stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + 20
    own = f"tonnage-kernel-costs-{killed.pid}"
    while not (cgroups := list(Path("/sys/fs/cgroup").glob(f"*/{own}"))):
        assert time.monotonic() < deadline
    killed.kill()
    killed.communicate()
    assert cgroups[0].exists()
    first, second = kernel_costs.measure(), kernel_costs.measure()
    assert not cgroups[0].exists()
    assert first.memory_cgroup
    assert first.memory_cgroup == pytest.approx(second.memory_cgroup, rel=0.5)


def test_no_start_goes_below_the_memory_floor() -> None:
    floor = host_limits.available_memory_bytes() - 512 * MIB
    bounds = replace(QUICK, density=replace(QUICK.density, machines=40, memory_floor_bytes=floor))
    with started_worker("microvm") as worker:
        running = by_metric(density.measure(worker, 0, bounds, quiet))["running"]
    assert "memory floor" in running.note
    assert (running.value or 0) < 10  # 0 on a busy host with less free memory


def test_more_containers_run_than_a_worker_has_pipes_for() -> None:
    bounds = replace(QUICK, density=replace(QUICK.density, containers=200))
    with started_worker("container") as worker:
        descriptors = len(list(Path(f"/proc/{worker.pid}/fd").iterdir())) + 350
        resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        samples = by_metric(density.measure(worker, 0, bounds, quiet))
        assert samples["running"].value == samples["answering"].value == 200, samples["running"]
        left = len(list(Path(f"/proc/{worker.pid}/fd").iterdir()))
        assert left < descriptors - 300


def test_a_full_host_names_its_limit() -> None:
    bounds = replace(QUICK, density=replace(QUICK.density, containers=40, memory_floor_bytes=0))
    with started_worker("container") as worker:
        pid = worker.pid
        descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir())) + 40
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))
        samples = density.measure(worker, 0, bounds, quiet)
    (running,) = [sample for sample in samples if sample.metric == "running"]
    assert "file descriptors (ulimit -n)" in running.note
    assert 0 < (running.value or 0) < 40


def test_a_users_workload_is_run_in_every_target(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[count]\nwhat = "numbers"\ncommand = "echo rate 7.5"\nthreads = 1\nbound-by = "CPU"\n'
        'results.count = { pattern = \'rate ([0-9.]+)\', unit = "/s", better = "more" }\n'
    )
    result = subprocess.run(
        [sys.executable, "-m", "lab", "run", "performance",
         "--targets", "native,container", "--rounds", "1", "--workloads", str(own),
         "--out", str(tmp_path / "run"), "--accel", "tcg"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    with (tmp_path / "run/measurements.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if row["metric"] == "count"]
    assert {(row["target"], row["value"], row["unit"]) for row in rows} == {
        ("native", "7.5", "/s"), ("container", "7.5", "/s"),
    }  # fmt: skip


def test_the_native_target_leaves_no_mounts(tmp_path: Path) -> None:
    """Removing the scratch directory must not reach the host's /dev through a mount."""
    script = (
        "import sys; from pathlib import Path; from lab.userland import build;"
        "from lab.targets.base import Settings; from lab.targets.native import Native\n"
        "land = build.build(lambda _: None)\n"
        "with Native(Settings(land, Path(sys.argv[1]), 'tcg')): pass\n"
        "print(Path('/proc/self/mounts').read_text().count(sys.argv[1]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert result.stdout.split() == ["0"], result.stderr
