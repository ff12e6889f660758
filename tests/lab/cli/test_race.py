"""`tonnage race --replay`: lines at their time, the outcome, and the document."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import pytest

from lab.cli.main import main

COMMITTED = str(Path(__file__).parents[3] / "results/2026-11-29-vm")


def race(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["race", "--replay", COMMITTED, *arguments]) == 0
    return capsys.readouterr().out


def test_each_lap_is_a_line_of_at_most_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    shown = race(capsys, "container,vm", "--speed", "1000", "--predict", "3")
    laps = shown.split("\n\n")[1].splitlines()
    assert max(len(line) for line in laps) <= 80
    assert laps[-1].split()[-2:] == ["place", "2"] or "userspace" in laps[-1]
    assert "You predicted 3 times: too few by a factor of" in shown
    assert "vm (emulated) took" in shown
    assert "\x1b" not in shown


def test_a_replay_takes_its_own_time(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(race(capsys, "container,vm", "--json"))
    last = max(lap["seconds"] for lap in document["laps"])
    begin = time.monotonic()
    race(capsys, "container,vm", "--speed", "20")
    assert time.monotonic() - begin >= last / 20


def test_the_document_has_the_order(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(race(capsys, "container,vm", "--json", "--predict", "7"))
    assert document["order"] == ["container", "vm (emulated)"]
    assert document["predicted_times_longer"] == 7
    assert document["times_longer"] > 100


def test_csv_has_a_line_for_each_lap_and_the_places(capsys: pytest.CaptureFixture[str]) -> None:
    laps = json.loads(race(capsys, "container,vm", "--json"))["laps"]
    rows = list(csv.DictReader(io.StringIO(race(capsys, "container,vm", "--format", "csv"))))
    assert [(row["target"], row["event"], float(row["seconds"])) for row in rows] == [
        (lap["target"], lap["name"], lap["seconds"]) for lap in laps
    ]
    assert [(row["target"], row["place"]) for row in rows if row["place"]] == [
        ("container", "1"), ("vm (emulated)", "2"),
    ]  # fmt: skip


def test_markdown_has_the_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    shown = race(capsys, "container,vm", "--format", "markdown", "--predict", "3")
    assert "| ready | 2 |" in shown
    assert "You predicted 3 times: too few by a factor of" in shown


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "fast", "1e-300", "1e300"])
def test_a_speed_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], speed: str) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["race", "--replay", COMMITTED, "--speed", speed])
    assert raised.value.code == 2
    assert "--speed" in capsys.readouterr().err


@pytest.mark.parametrize("targets", ["", ","])
def test_a_race_without_targets_is_refused(
    capsys: pytest.CaptureFixture[str], targets: str
) -> None:
    for arguments in (["--replay", COMMITTED], []):
        assert main(["race", *arguments, targets]) == 2
        assert "The race has no target" in capsys.readouterr().err


def test_a_target_that_is_named_twice_races_once(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(race(capsys, "container,container", "--json"))
    assert document["targets"] == document["order"] == ["container"]


def test_a_race_is_shown_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    shown = race(capsys, "container,vm", "--speed", "1000", "--predict", "3", "--lang", "zh")
    assert "第 2 名" in shown
    assert "你的预测是 3 倍：低估了" in shown


def test_a_language_that_is_unknown_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["race", "--replay", COMMITTED, "--lang", "de"])
    assert raised.value.code == 2
    assert "choose en or zh" in capsys.readouterr().err


def test_a_lap_fits_into_60_columns(capsys: pytest.CaptureFixture[str]) -> None:
    shown = race(capsys, "container,vm", "--speed", "1000")
    assert max(len(line) for line in shown.split("\n\n")[1].splitlines()) <= 60
