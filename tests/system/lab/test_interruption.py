"""Runs that are interrupted and resumed, and runs beside processes that use the CPU."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyperf
import pytest

from lab.paths import cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.timeout(900)]

TONNAGE = [sys.executable, "-m", "lab"]
ROUNDS = 4
TARGETS = ("native", "container")


def tonnage(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TONNAGE, *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=800,
        check=False,
    )


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run_until(path: Path, rounds: int, number: signal.Signals) -> Path:
    """Start a run, and end it by a signal to its process group after some rounds.

    SIGKILL goes to the main process only. Return the run's scratch directory.
    """
    environment = (
        "env",
        f"--default-signal={number.name}",
    )  # nohup(1) and a shell's jobs ignore some
    running = subprocess.Popen(
        [*(environment if number is not signal.SIGKILL else ()),
         *TONNAGE, "run", "startup", "burst", "--targets", ",".join(TARGETS), "--accel", "tcg",
         "--rounds", str(ROUNDS), "--out", str(path), "--wait"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    table = path / "rounds.csv"
    deadline = time.monotonic() + 300
    while not table.exists() or len(rows(table)) < rounds:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if number is signal.SIGKILL:
        running.kill()
    else:
        os.killpg(running.pid, number)
    assert running.wait(60) in {-number, 128 + number}
    return cache_directory() / f"s{running.pid}"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT])
@pytest.mark.parametrize("rounds", [3, ROUNDS + 2], ids=["first", "second"])
def test_an_interrupted_run_is_resumed(number: signal.Signals, rounds: int, tmp_path: Path) -> None:
    if rounds > ROUNDS and number not in {signal.SIGKILL, signal.SIGHUP}:
        pytest.skip("the second experiment is tried with two signals")
    path = tmp_path / "run"
    scratch = run_until(path, rounds, number)
    if number is not signal.SIGKILL:
        assert not scratch.exists()
        assert json.loads((path / "run.json").read_text())["interrupted"] is True
    finished_rounds = rows(path / "rounds.csv")
    samples = rows(path / "measurements.csv")

    result = tonnage("run", "--resume", str(path), "--wait", "--format", "json")

    assert result.returncode == 0, result.stderr
    assert rows(path / "rounds.csv")[: len(finished_rounds)] == finished_rounds
    measured_rounds = [(row["experiment"], int(row["round"])) for row in rows(path / "rounds.csv")]
    assert measured_rounds == [(name, n) for name in ("startup", "burst") for n in range(ROUNDS)]
    finished = {(row["experiment"], row["round"]) for row in finished_rounds}
    of_them = [row for row in samples if (row["experiment"], row["round"]) in finished]
    assert rows(path / "measurements.csv")[: len(of_them)] == of_them
    first = Counter(
        row["target"]
        for row in rows(path / "measurements.csv")
        if (row["experiment"], row["metric"]) == ("startup", "first-instruction")
    )
    assert first == dict.fromkeys(TARGETS, ROUNDS)
    settings = json.loads((path / "run.json").read_text())
    assert len(settings["resumed"]) == 1
    assert "finished" in settings
    assert "interrupted" not in settings
    assert set(settings["stopping"]) == {"startup", "burst"}
    measured = {
        (m["target"], m["metric"]): m["n"] + m["set_aside"]  # disturbed rounds were measured too
        for m in json.loads(result.stdout)["measurements"]
    }
    assert measured["container", "ready"] == ROUNDS
    suite = pyperf.BenchmarkSuite.load(str(path / "startup.json"))
    assert suite.get_benchmark("container/ready").get_nvalue() == ROUNDS
    assert "resumed" in tonnage("show", str(path)).stdout
    if number is signal.SIGKILL:
        tonnage("clean")
    assert not scratch.exists()

    again = tonnage("run", "--resume", str(path))
    assert again.returncode == 2
    assert "is finished: there is nothing to resume" in again.stderr


@contextmanager
def neighbour(script: str) -> Iterator[None]:
    """Run a foreign shell script during the block."""
    running = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    try:
        yield
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


WHOLE_CPU = "while :; do :; done"
COMES_AND_GOES = "while :; do timeout 2 sh -c 'while :; do :; done'; sleep 4; done"


@pytest.mark.parametrize(
    ("busy", "rounds"), [(WHOLE_CPU, 1), (COMES_AND_GOES, 2)], ids=["always", "intermittent"]
)
def test_a_table_is_made_beside_a_busy_neighbour(busy: str, rounds: int, tmp_path: Path) -> None:
    path = tmp_path / "run"
    with neighbour(busy):
        result = tonnage(
            "table", "--targets", "native,container", "--rounds", str(rounds), "--accel", "tcg",
            "--out", str(path), "--wait",
        )  # fmt: skip
    assert "Traceback" not in result.stderr
    assert result.returncode == 0, result.stderr
    assert "container" in result.stdout
    assert (path / "report.html").stat().st_size > 100_000
    assert any(row["disturbed"] for row in rows(path / "rounds.csv"))
    assert json.loads((path / "run.json").read_text())["failures"] == []


def test_rounds_disturbed_by_an_intermittent_neighbour_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with neighbour(COMES_AND_GOES):
        result = tonnage(
            "run", "startup", "--targets", "native,container", "--rounds", "24", "--accel", "tcg",
            "--out", str(path), "--wait", "--format", "json",
        )  # fmt: skip
    assert result.returncode == 0, result.stderr
    disturbed = [bool(row["disturbed"]) for row in rows(path / "rounds.csv")]
    if all(disturbed):
        pytest.skip("this host is busy with something else as well")
    assert any(disturbed)
    rest = disturbed.count(False)
    counted = rest if 2 * rest >= len(disturbed) else len(disturbed)  # (docs/method.md)
    for measured in json.loads(result.stdout)["measurements"]:
        if measured["metric"] == "first-instruction":
            assert measured["n"] == counted
            assert measured["set_aside"] == len(disturbed) - counted
    report = tonnage("report", str(path))
    assert report.returncode == 0, report.stderr
