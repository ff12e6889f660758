"""Races from runs: a round that all targets finished, with their steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.classroom.replayed_race import replayed
from lab.errors import InvalidRun, NotFound
from lab.results import run_folder
from tests.lab.with_samples import with_samples

if TYPE_CHECKING:
    from lab.results.run_folder import Run

COMMITTED = Path(__file__).parents[3] / "results/2026-11-29-vm"


@pytest.fixture(scope="module")
def run() -> Run:
    return run_folder.load(COMMITTED)


def test_laps_come_in_the_order_of_their_times(run: Run) -> None:
    race, laps = replayed(run)
    assert race.targets == ("container", "vm (emulated)")
    assert [lap.seconds for lap in laps] == sorted(lap.seconds for lap in laps)
    assert {lap.target for lap in laps if lap.name == "ready"} == set(race.targets)


def test_all_laps_are_of_one_round(run: Run) -> None:
    _, laps = replayed(run, ["container", "vm"])
    starts = run.samples[run.samples["experiment"] == "startup"]
    by_value = {(row.target, row.metric, row.value): row.round for row in starts.itertuples()}
    rounds = {
        by_value[lap.target.removesuffix(" (emulated)"), lap.name, lap.seconds]
        for lap in laps
        if lap.name in ("first-instruction", "ready", "userspace")
    }
    assert len(rounds) == 1


def test_a_target_that_was_not_started_is_named(run: Run) -> None:
    with pytest.raises(NotFound, match="no start of firecracker; it has"):
        replayed(run, ["firecracker"])


def test_a_run_without_starts_is_no_race(run: Run) -> None:
    kept = run.samples[run.samples["experiment"] != "startup"]
    empty = with_samples(run, kept)
    with pytest.raises(InvalidRun, match="has no starts"):
        replayed(empty)
