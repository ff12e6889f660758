"""Judges of many starts and many hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.results import run_folder
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from tests.lab.claims.judging import HOLDS, UNTESTED, on, row
from tests.lab.plausible import HOST, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path


def test_many_start_at_a_time(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, {**SETTINGS, "experiments": ["burst"]}) as made:
        made.append(
            Sample("burst", "container", "started-per-second", "/s", number, rate, count)
            for number in range(3)
            for count, rate in ((1, 90.0), (16, 110.0 + number))
        )
    result = row(run_folder.load(tmp_path / "run"), "many at a time")
    assert (result.verdict, result.reason) == (HOLDS, "16 were requested at once and ran")
    assert result.measured == ("container started per second, 16 at once 111 /s",)


def test_a_fleet_is_a_projection(tmp_path: Path) -> None:
    result = row(on(tmp_path), "peak load")
    assert result.verdict == UNTESTED
    assert "(a projection): container 1, microvm (emulated) 100 (bound by CPU)" in result.reason
    assert len(result.measured) == 2
