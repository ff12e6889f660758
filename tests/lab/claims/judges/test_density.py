"""Judges of the number of instances on a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.results import run_folder
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from tests.lab.claims.judging import FAILS, HOLDS, INCONCLUSIVE, UNTESTED, WITH_KVM, on, row
from tests.lab.plausible import HOST, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from lab.claims.finding import Verdict


@pytest.mark.parametrize(("running", "verdict"), [(120, FAILS), (40, UNTESTED), (4, UNTESTED)])
def test_a_hundred_emulated_machines_refute_that_tens_fit(
    tmp_path: Path, running: int, verdict: Verdict
) -> None:
    result = row(
        on(tmp_path, running={"microvm": running}, stop="memory floor"), "tens on one host"
    )
    assert result.verdict == verdict
    assert ("even emulated, 100 or more ran" in result.reason) == (verdict == FAILS)


def test_the_planned_count_is_no_limit_of_the_host(tmp_path: Path) -> None:
    run = on(tmp_path)
    for words in ("thousands on one host", "tens on one host"):
        result = row(run, words)
        assert result.verdict == INCONCLUSIVE
        assert "the host reached no limit" in result.reason
        assert "a projection" in result.reason


@pytest.mark.parametrize(
    ("running", "stop", "thousands", "tens"),
    [
        ({"container": 2000, "microvm": 40}, "memory floor", HOLDS, HOLDS),
        ({"container": 600, "microvm": 4}, "memory floor", FAILS, FAILS),
        ({"container": 1000, "microvm": 120}, "count", HOLDS, FAILS),
    ],
)
def test_a_limit_that_was_met_decides(
    tmp_path: Path, running: dict[str, int], stop: str, thousands: Verdict, tens: Verdict
) -> None:
    run = on(tmp_path, accelerator="kvm", host=WITH_KVM, running=running, stop=stop)
    assert row(run, "thousands on one host").verdict == thousands
    assert row(run, "tens on one host").verdict == tens


def test_instances_that_do_not_answer_do_not_count(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        note = "stopped by count of 1200"
        made.append([Sample("density", "container", "running", "integer", 0, 1200, note=note)])
        made.append([Sample("density", "container", "answering", "integer", 0, 900)])
    result = row(run_folder.load(tmp_path / "run"), "thousands on one host")
    assert result.verdict == INCONCLUSIVE
    assert result.measured == ("container running 1,200", "container answering 900")


def test_a_filling_without_a_recorded_end_reached_no_limit(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        made.append([Sample("density", "container", "running", "integer", 0, 700)])
        made.append([Sample("density", "container", "answering", "integer", 0, 700)])
    assert row(run_folder.load(tmp_path / "run"), "thousands on one host").verdict == INCONCLUSIVE
