"""Pictures say what was measured, how often, where, and whether it was emulated."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from lab import figures, figures_limits, figures_starts, results
from lab.results import Run
from tests.lab.plausible import write

DRAW = {
    **{
        name: getattr(figures, name)
        for name in ("startup", "footprint", "density", "near_native", "overview")
    },
    "waterfall": figures_starts.waterfall,
    "burst": figures_starts.burst,
    "idle": figures_limits.idle,
    "answers": figures_limits.answers,
    "isolation": figures_limits.isolation,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return results.load(write(tmp_path_factory.mktemp("figures") / "run"))


def words(figure: Figure) -> str:
    figure.draw_without_rendering()
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


@pytest.mark.parametrize("name", DRAW)
def test_a_picture_says_where_it_comes_from(name: str, run: Run) -> None:
    said = words(DRAW[name](run))
    for fact in ("host plausible", "machines emulated (TCG)", "page cache warm", "median"):
        assert fact in said
    assert "vm (emulated)" in said
    assert "KVM" not in said
    assert "n=" in said or "points" in said


@pytest.mark.parametrize("name", DRAW)
def test_under_kvm_nothing_is_called_emulated(name: str, tmp_path: Path) -> None:
    run = results.load(write(tmp_path / "run", accelerator="kvm"))
    assert "emulated" not in words(DRAW[name](run))


def test_starts_that_failed_are_shown(run: Run) -> None:
    assert "n=2, 1 failed" in words(figures.startup(run))


@pytest.mark.parametrize(
    ("name", "experiment"),
    [
        ("footprint", "footprint"),
        ("density", "density"),
        ("near_native", "performance"),
        ("burst", "burst"),
        ("idle", "footprint"),
        ("answers", "density"),
        ("isolation", "isolation"),
    ],
)
def test_what_was_not_measured_is_said(name: str, experiment: str, tmp_path: Path) -> None:
    run = results.load(write(tmp_path / "run", experiments=("startup",)))
    assert f"{experiment} was not measured" in words(DRAW[name](run))
    assert "startup was not measured" not in words(figures.overview(run))


def test_starting_was_not_measured(tmp_path: Path) -> None:
    run = results.load(write(tmp_path / "run", experiments=("footprint",)))
    assert "startup was not measured" in words(figures.startup(run))


def test_a_waterfall_names_each_step_and_how_long_it_takes(run: Run) -> None:
    said = words(figures_starts.waterfall(run))
    assert "prepare  794 µs" in said
    assert said.count("run  ") == 5


def test_starting_was_not_measured_step_by_step(tmp_path: Path) -> None:
    run = results.load(write(tmp_path / "run", experiments=("footprint",)))
    assert "startup was not measured" in words(figures_starts.waterfall(run))


def test_a_picture_is_drawn_where_rounds_are_set_aside(tmp_path: Path) -> None:
    run = results.load(write(tmp_path / "run", disturbed={3: "steal took 9 %", 7: "load"}))
    assert "n=13" in words(figures.startup(run))
    assert words(figures.overview(run))
