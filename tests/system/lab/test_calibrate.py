"""Calibration on real instances, page-cache states, and the budget of a run."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from lab.calibration import model, store, text
from lab.calibration import run as calibration_run
from lab.host.scratch import scratch_directory
from lab.results import run_folder
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build

pytestmark = pytest.mark.root

TONNAGE = [sys.executable, "-m", "lab"]


@pytest.fixture
def _other_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the test's calibration from becoming this host's newest."""
    monkeypatch.setattr(store, "newest_path", lambda: tmp_path / "newest.json")


@pytest.mark.usefixtures("_other_newest")
def test_a_calibration_is_real_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_run, "MOST_ROUNDS", 30)
    monkeypatch.setattr(calibration_run, "PAIRS", 20)
    monkeypatch.setattr(calibration_run, "CHANNELS", 5)
    monkeypatch.setattr(calibration_run, "DRIFTS", 2)
    monkeypatch.setattr(model, "FEWEST_REPETITIONS", 2)  # so that it is stored
    path, calibration = calibration_run.run(
        calibration_run.CalibrationRequest(
            repetitions=2, seed=3, out=tmp_path / "calibration", wait=True
        )
    )
    document = json.loads((path / "calibration.json").read_text())
    assert document == json.loads(json.dumps(calibration.document()))
    assert store.newest() == document
    assert (path / "calibration.md").read_text() == text.markdown(document)
    with (path / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["trial"] for row in rows} >= {trial.what for trial in calibration.trials}
    slower = [
        float(row["first_seconds"]) / float(row["second_seconds"])
        for row in rows
        if row["trial"].startswith("a slow-down of 50%")
    ]
    assert median(slower) > 1  # a slow-down by half shows in the median on any host
    channels = {channel.target: channel for channel in calibration.channels}
    agent, drift = channels["container"].agent.centre, channels["container"].drift.centre
    assert agent is not None
    assert 0 < agent < 0.1
    assert channels["container"].console.n == 0
    assert drift is not None
    assert abs(drift) < 0.05  # a container uses the host's clock
    if "microvm" in channels:
        assert channels["microvm"].console.n == 5
        console = channels["microvm"].console.centre
        assert console is not None
        assert console > 0


def test_cold_and_warm_are_done_and_recorded(tmp_path: Path) -> None:
    for state in ("cold", "warm"):
        done = subprocess.run(
            [*TONNAGE, "run", "startup", "--targets", "native,container", "--rounds", "2",
             "--accel", "tcg", "--page-cache", state, "--out", str(tmp_path / state), "--wait"],
            env=os.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        run = run_folder.load(tmp_path / state)
        assert run.settings["page_cache"] == state
        assert len(run.rounds) == 2
        assert set(run.samples["metric"]) >= {"ready", "cpu: until up"}


def test_the_budget_of_a_real_run_is_kept(tmp_path: Path) -> None:
    done = subprocess.run(
        [*TONNAGE, "run", "startup", "--targets", "native", "--precision", "0.1%",
         "--budget", "0.1", "--accel", "tcg", "--out", str(tmp_path / "run"), "--wait"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = run_folder.load(tmp_path / "run")
    ended = run.settings["stopping"]["startup"]
    assert ended["ended_by"] == "budget"
    assert ended["rounds"] >= 1
    assert run.rounds["seconds"].sum() < 8


def test_the_cpu_time_of_a_start_is_that_of_its_processes() -> None:
    from lab.experiments import startup

    land = build.build(lambda _: None)
    with scratch_directory() as scratch, Worker("container", Settings(land, scratch, "tcg")) as w:
        start = w.call(60, startup.start_and_stop)
        assert 0 < start.cpu_ns < 60e9
