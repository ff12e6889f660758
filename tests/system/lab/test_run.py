"""Runs by the command line, with real containers and a real machine."""

from __future__ import annotations

import csv
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyperf
import pytest

from lab.experiments import density, performance, profiles
from lab.host.scratch import scratch_directory
from lab.paths import cache_directory
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build
from lab.workloads import Result, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

TONNAGE = [sys.executable, "-m", "lab"]
MINUTES = 60


def tonnage(
    *arguments: str, timeout: float = 5 * MINUTES, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TONNAGE, *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def cache_folders() -> set[Path]:
    return set(cache_directory().glob("s[0-9]*"))


@pytest.fixture(autouse=True)
def _leaves_nothing() -> object:
    before = cache_folders()
    yield
    assert cache_folders() <= before


def test_startup_is_one_json_document_and_a_folder_that_pyperf_reads(tmp_path: Path) -> None:
    result = tonnage(
        "run", "startup", "--targets", "native,container", "--rounds", "3",
        "--format", "json", "--out", str(tmp_path / "run"), "--seed", "7", "--accel", "tcg",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert set(document) >= {"run", "host", "measurements", "ratios"}
    measured = {(m["target"], m["metric"]): m for m in document["measurements"]}
    first = measured["container", "first-instruction"]
    assert first["n"] + first["set_aside"] == len(first["samples"]) == 3
    assert first["unit"] == "second"
    assert first["low"] <= first["median"] <= first["high"]
    assert 0 < first["median"] < 1
    assert ("container", "userspace") not in measured
    assert any(r["target"] == "container" and r["baseline"] == "native" for r in document["ratios"])

    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "run" / "startup.json"))
    assert suite.get_benchmark("container/ready").get_nvalue() == 3
    stats = subprocess.run(
        [sys.executable, "-m", "pyperf", "stats", str(tmp_path / "run" / "startup.json")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "container/first-instruction" in stats.stdout


def test_a_microvm_starts_answers_and_stops(tmp_path: Path) -> None:
    result = tonnage(
        "run", "startup", "--targets", "microvm", "--rounds", "1", "--format", "json",
        "--out", str(tmp_path / "run"), "--accel", "tcg",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    spans = {m["metric"]: m["median"] for m in document["measurements"]}
    assert 0 < spans["first-instruction"] < spans["ready"]
    assert document["run"]["accelerator"] == "tcg"
    assert document["host"]["emulated"] is True


def test_density_fills_and_every_instance_answers(tmp_path: Path) -> None:

    land = build.build(lambda _: None)
    with scratch_directory() as scratch, Worker("container", Settings(land, scratch, "tcg")) as w:
        quick = profiles.PROFILES["quick"]
        small = replace(quick, density=replace(quick.density, containers=40, machines=2))
        samples = density.measure(w, 0, small, lambda _: None)
    by_metric = {sample.metric: sample for sample in samples}
    assert by_metric["running"].value == by_metric["answering"].value == 40
    assert by_metric["running"].note == "stopped by count of 40"
    assert len([s for s in samples if s.metric == "start-latency"]) == 40


def test_the_memory_floor_stops_a_fill(tmp_path: Path) -> None:

    land = build.build(lambda _: None)
    quick = profiles.PROFILES["quick"]
    few = replace(quick.density, containers=40, machines=2, memory_floor_bytes=1 << 60)
    floor = replace(quick, density=few)
    with scratch_directory() as scratch, Worker("container", Settings(land, scratch, "tcg")) as w:
        (running,) = (
            sample
            for sample in density.measure(w, 0, floor, lambda _: None)
            if sample.metric == "running"
        )
    assert "memory floor" in running.note
    assert (running.value or 0) < 40


def rows(path: Path) -> list[dict[str, str]]:
    with (path / "measurements.csv").open() as table:
        return list(csv.DictReader(table))


def wait_for_rounds(path: Path, count: int, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert running.poll() is None, "the run ended before it could be disturbed"
        if (path / "measurements.csv").exists() and len({r["round"] for r in rows(path)}) >= count:
            return
        time.sleep(0.02)
    raise AssertionError("no round was finished in time")


@contextmanager
def endless_run(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a run in its own process group; interrupt it after the block if it still runs."""
    running = subprocess.Popen(
        [*TONNAGE, "run", "startup", "--targets", "native,container", "--rounds", "100000",
         "--out", str(path), "--accel", "tcg"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGINT)
            running.wait(60)


def test_ctrl_c_keeps_the_finished_rounds(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with endless_run(path) as running:
        wait_for_rounds(path, 3, running)
        os.killpg(running.pid, signal.SIGINT)  # a terminal sends it to the whole group
        assert running.wait(60) == 130
    settings = json.loads((path / "run.json").read_text())
    assert settings["interrupted"] is True
    assert len({row["round"] for row in rows(path)}) >= 3
    assert pyperf.BenchmarkSuite.load(str(path / "startup.json"))


def test_clean_finds_what_a_killed_run_left(tmp_path: Path) -> None:
    path = tmp_path / "run"
    before = cache_folders()
    with endless_run(path) as running:
        wait_for_rounds(path, 2, running)
        running.kill()
        running.wait()
    (left,) = cache_folders() - before
    result = tonnage("clean")
    assert result.returncode == 0, result.stderr
    assert str(left) in result.stdout
    assert not left.exists()
    assert len({row["round"] for row in rows(path)}) >= 2
    assert "nothing to remove" in tonnage("clean").stdout


def test_two_measurements_at_once_are_refused(tmp_path: Path) -> None:
    with endless_run(tmp_path / "run") as running:
        wait_for_rounds(tmp_path / "run", 1, running)
        second = tonnage("run", "startup", "--targets", "native", "--out", str(tmp_path / "second"))
        assert second.returncode == 2
        assert f"Process {running.pid} (" in second.stderr
        assert "run startup --targets native,container" in second.stderr
        assert f"since {datetime.date.today().isoformat()}" in second.stderr
        assert not (tmp_path / "second").exists()


def test_a_guest_that_never_boots_is_a_censored_sample(tmp_path: Path) -> None:
    result = tonnage(
        "run", "startup", "--targets", "container,microvm", "--rounds", "1", "--accel", "tcg",
        "--out", str(tmp_path / "run"), "--start-deadline", "0.2",
    )  # fmt: skip
    assert result.returncode == 1
    by_target = {row["target"]: row for row in rows(tmp_path / "run")}
    assert by_target["microvm"]["value"] == ""
    assert "did not reach first-instruction within" in by_target["microvm"]["censored"]
    assert by_target["container"]["value"]
    assert "microvm" in result.stderr


def test_a_workload_that_fails_is_named() -> None:

    land = build.build(lambda _: None)
    chosen = {
        "failing": workload("echo no such thing >&2; exit 3"),
        "going-on": workload("true"),
    }
    with scratch_directory() as scratch, Worker("container", Settings(land, scratch, "tcg")) as w:
        outcomes = w.call(60, performance.run_all, chosen)
    assert outcomes["failing"] == "failing failed in container: exit code 3: no such thing"
    assert isinstance(outcomes["going-on"], float)


def workload(command: str) -> Workload:
    name = "failing" if "exit" in command else "going-on"
    results = {name: Result(unit="second", better="less")}
    return Workload(what="", command=command, threads=1, bound_by="", results=results)


def test_a_full_disk_keeps_the_rounds_before(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tonnage-test", disk], check=True)
    try:
        result = tonnage(
            "run", "startup", "--targets", "native", "--rounds", "5000", "--accel", "tcg",
            "--out", str(disk / "run"),
        )  # fmt: skip
        assert result.returncode == 2
        assert "No space left on device" in result.stderr
        assert "Traceback" not in result.stderr
        assert len({row["round"] for row in rows(disk / "run") if row["round"]}) > 10
    finally:
        subprocess.run(["umount", disk], check=True)
