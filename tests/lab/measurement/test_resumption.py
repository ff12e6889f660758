"""Resuming an interrupted run: finished rounds stay, and unfinished ones are dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.measurement import resumption
from lab.results import run_folder
from tests.lab.plausible import write

SETTINGS = {
    "targets_asked": ["native"],
    "rounds_asked": 20,
    "start_deadline_seconds": 60.0,
    "precision": None,
    "budget_seconds": 90.0,
    "page_cache": "warm",
    "interrupted": True,
    "finished": "2026-11-24T12:00:00+00:00",
    "started": "2026-11-24T11:00:00+00:00",
}


@pytest.fixture
def interrupted_run(tmp_path: Path) -> Path:
    """A run that was killed while it wrote its sixteenth round."""
    path = write(tmp_path / "run", experiments=("startup",))
    change(path, **SETTINGS)
    rows = (path / "measurements.csv").read_text().splitlines()
    unfinished = rows[1].split(",")
    unfinished[4] = "15"
    (path / "measurements.csv").write_text("\n".join([*rows, ",".join(unfinished)]) + "\n")
    return path


def change(path: Path, **settings: object) -> None:
    settings_before = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps({**settings_before, **settings}))


def test_the_request_of_an_interrupted_run_is_restored(interrupted_run: Path) -> None:
    request = resumption.request(interrupted_run, (), ())
    assert (request.experiments, request.targets) == (("startup",), ("native",))
    assert (request.rounds, request.budget_minutes) == (20, 1.5)
    assert request.resumes == interrupted_run


def test_finished_rounds_stay_and_unfinished_ones_are_dropped(interrupted_run: Path) -> None:
    before = run_folder.load(interrupted_run)
    interrupted = resumption.load(interrupted_run)
    assert [each.number for each in interrupted.rounds["startup"]] == list(range(15))
    (interrupted_run / ".rounds.csv.new").write_text("of a resumption that was killed")
    now = {**interrupted.settings, "started": "2026-11-25T09:00:00+00:00"}
    del now["interrupted"], now["finished"]
    with interrupted.reopen(now) as folder:
        folder.append([])
        folder.update_settings({"finished": "2026-11-25T09:30:00+00:00"})
    after = run_folder.load(interrupted_run)
    assert len(after.samples) == len(before.samples) - 1
    assert set(after.samples["round"]) == set(range(15))
    assert len(after.rounds) == len(before.rounds)
    assert after.settings["started"] == "2026-11-24T11:00:00+00:00"
    assert after.settings["resumed"] == ["2026-11-25T09:00:00+00:00"]
    assert not [path for path in interrupted_run.iterdir() if path.name.startswith(".")]


def test_a_finished_run_cannot_be_resumed(interrupted_run: Path) -> None:
    change(interrupted_run, interrupted=False)
    with pytest.raises(LabError, match="there is nothing to resume"):
        resumption.load(interrupted_run)


def test_a_run_cannot_be_resumed_on_another_host(interrupted_run: Path) -> None:
    interrupted = resumption.load(interrupted_run)
    plan = {name: interrupted.settings[name] for name in ("accelerator", "targets", "rounds")}
    interrupted.require_same_host(interrupted.host, plan)
    with pytest.raises(LabError, match=r"and is now 9\.9\. Start a new run"):
        interrupted.require_same_host({**interrupted.host, "kernel": "9.9"}, plan)
    with pytest.raises(LabError, match="its accelerator was tcg, and is now kvm"):
        interrupted.require_same_host(interrupted.host, {**plan, "accelerator": "kvm"})


def test_a_resumed_run_accepts_no_experiments(interrupted_run: Path) -> None:
    with pytest.raises(LabError, match="give no experiment"):
        resumption.request(interrupted_run, ("density",), ())


def test_a_run_of_an_older_version_cannot_be_resumed(tmp_path: Path) -> None:
    path = write(tmp_path / "run", experiments=("startup",))
    change(path, interrupted=True)
    with pytest.raises(LabError, match="older version"):
        resumption.request(path, (), ())


IMAGE = {
    "reference": "app:1",
    "digest": "sha256:1",
    "ready": "TCP port 80 answers",
    "ready_timeout_seconds": 7.0,
}


def test_a_resumed_run_measures_the_same_image(interrupted_run: Path) -> None:
    assert resumption.request(interrupted_run, (), ()).image is None
    resumption.load(interrupted_run).require_same_image(None)
    change(interrupted_run, image=IMAGE)
    request = resumption.request(interrupted_run, (), ())
    assert (request.image, request.ready_timeout_seconds) == ("app:1", 7.0)
    interrupted = resumption.load(interrupted_run)
    interrupted.require_same_image(IMAGE)
    with pytest.raises(LabError, match="its image's digest was sha256:1, and is now sha256:2"):
        interrupted.require_same_image({**IMAGE, "digest": "sha256:2"})
    with pytest.raises(LabError, match="its image's ready was TCP port 80 answers, and is now its"):
        interrupted.require_same_image({**IMAGE, "ready": "its command ends"})
    with pytest.raises(LabError, match="its image's digest was sha256:1, and is now none"):
        interrupted.require_same_image(None)
