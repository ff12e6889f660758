"""Pictures of the notebooks: what they say, on runs with and without what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.analysis import pairs
from lab.language.message import Language, translated
from lab.report import (
    aligned_steps,
    cut_axis,
    interval_strip,
    paired_rounds,
    scalability_curve,
)
from lab.results import run_folder
from lab.scaling import start_times
from lab.statistics.estimates import Estimate
from tests.lab.plausible import write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.report.picture import Picture
    from lab.results.run_folder import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = write(tmp_path_factory.mktemp("pictures") / "run")
    return run_folder.load(path)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run without starts."""
    path = write(tmp_path_factory.mktemp("sizes") / "run", experiments=("footprint",))
    return run_folder.load(path)


def finding(picture: Picture) -> str:
    picture.draw_without_rendering()
    return str(picture.finding)


def test_steps_are_aligned_and_the_longest_is_named(run: Run) -> None:
    steps = {name: pairs.steps(run, name) for name in ("container", "vm")}
    longest = max(steps["vm"], key=lambda step: step.seconds)
    picture = aligned_steps.draw(run, ("container", "vm", "absent"))
    assert finding(picture).startswith("container is there after")
    assert f"“{longest.name}”" in finding(picture)
    assert "vm (emulated)" in finding(picture)
    assert "用时" in translated(picture.finding, Language.CHINESE)


def test_a_run_without_steps_says_so(sizes: Run) -> None:
    assert finding(aligned_steps.draw(sizes)) == "The run has no steps of starts"
    assert pairs.steps(sizes, "container") == ()


def test_rounds_are_paired(run: Run) -> None:
    each = pairs.of(run, "startup", "ready", "crun", "container")
    assert each.ratios == {
        number: cost / each.baseline_costs[number] for number, cost in each.costs.items()
    }
    assert each.estimate.n == len(each.ratios)
    picture = paired_rounds.draw(run, "startup", ["ready", "unknown"], "crun", "container")
    assert finding(picture) == "crun and container, round by round"
    assert "ready " in picture.alt
    assert "unknown" not in picture.alt


def test_a_figure_alone_is_that_of_the_whole_run(run: Run) -> None:
    from lab.analysis import summary

    whole = next(
        each
        for each in summary.measurements(run)
        if (each.experiment, each.metric, each.target) == ("startup", "ready", "container")
    )
    alone = pairs.figure(run, "startup", "ready", "container")
    assert (alone.centre, alone.low, alone.high) == (whole.median, whole.low, whole.high)


def test_intervals_that_miss_are_counted() -> None:
    right, wrong = Estimate(1.0, 0.9, 1.1, 9), Estimate(1.2, 1.1, 1.3, 9)
    unknown = Estimate(1.0, None, None, 1)
    picture = interval_strip.draw([right, wrong, unknown], 1.0, "a source")
    assert finding(picture) == "1 of 2 intervals contain the truth"
    assert "a source" in picture.caption


def test_a_cut_axis_says_by_how_much_it_exaggerates() -> None:
    bars = {"a": Estimate(100.0, 99.0, 101.0, 5), "b": Estimate(103.0, 102.0, 104.0, 5)}
    assert finding(cut_axis.draw(bars, "second", "")) == "1.03 times as much looks like 2 times"


def test_the_law_names_its_limit(run: Run, tmp_path: Path) -> None:
    starts = {"container": start_times.measured("", run, "container")}
    laws = {name: law for name, each in starts.items() if (law := each.law())}
    assert "starts per second" in finding(scalability_curve.draw(run, starts, laws)).lower()
    assert finding(scalability_curve.draw(run, starts, {})).startswith("Starts per second over")
