"""`tonnage race --replay`: lines at their time, the outcome, and the document."""

from __future__ import annotations

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


@pytest.mark.parametrize("speed", ["0", "-1", "nan", "fast"])
def test_a_speed_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], speed: str) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["race", "--replay", COMMITTED, "--speed", speed])
    assert raised.value.code == 2
    assert "--speed" in capsys.readouterr().err
