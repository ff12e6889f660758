"""Pictures: provenance, labels, layout and descriptions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from lab.report import overview, startup, style
from lab.results import run_folder
from lab.results.run_folder import Run
from tests.lab.plausible import write
from tests.lab.report.pictures import DRAW, words


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_folder.load(write(tmp_path_factory.mktemp("figures") / "run"))


@pytest.mark.parametrize("name", DRAW)
def test_a_picture_says_where_it_comes_from(name: str, run: Run) -> None:
    text = words(DRAW[name](run))
    for fact in ("host plausible", "machines emulated (TCG)", "page cache warm", "median"):
        assert fact in text
    assert "vm (emulated)" in text
    assert "KVM" not in text
    assert "n=" in text or "points" in text


@pytest.mark.parametrize("name", DRAW)
def test_under_kvm_nothing_is_labelled_emulated(name: str, tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", accelerator="kvm"))
    assert "emulated" not in words(DRAW[name](run))


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Return every visible text with its bounding box."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    unseen = set(map(id, _labels_out_of_view(figure)))
    return [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip()
        and id(text) not in unseen
    ]  # fmt: skip


def _labels_out_of_view(figure: Figure) -> list[Text]:
    found = []
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low <= tick.get_loc() <= high:
                found += [tick.label1, tick.label2]
    return found


RUNS: dict[str, dict[str, Any]] = {
    "whole": {},
    "noisy": {"noise": 9.0},
    "dense": {"running": {"container": 9000, "crun": 1, "microvm": 3, "vm": 40, "podman": 400}},
    "one experiment": {"experiments": ("startup",)},
}


@pytest.mark.parametrize("made", RUNS)
def test_no_text_is_cut_or_over_another(made: str, tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", **RUNS[made]))
    for name, draw in DRAW.items():
        figure = draw(run)
        found = texts(figure)
        width, height = figure.bbox.width, figure.bbox.height
        for at, (label, box) in enumerate(found):
            assert box.x0 > -2, (name, label)
            assert box.x1 < width + 2, (name, label)
            assert box.y1 < height + 2, (name, label)
            for other, theirs in found[at + 1 :]:
                across = min(box.x1, theirs.x1) - max(box.x0, theirs.x0)
                along = min(box.y1, theirs.y1) - max(box.y0, theirs.y0)
                assert min(across, along) <= 2, (name, label, other)


@pytest.mark.parametrize("name", DRAW)
def test_a_picture_is_described(name: str, run: Run) -> None:
    picture = DRAW[name](run)
    assert "container" in picture.alt
    assert any(letter.isdigit() for letter in picture.alt)
    data, metadata = picture._repr_mimebundle_()
    assert data["image/svg+xml"].lstrip().startswith("<?xml")
    assert metadata["image/svg+xml"]["alt"] == picture.alt


def test_memory_per_instance_is_a_line_through_the_points(run: Run) -> None:
    lower = overview.density(run).axes[1]
    points = [line for line in lower.lines if line.get_linestyle() == "None"]
    fitted = [line for line in lower.lines if line.get_linestyle() == "-"]
    assert len(points) == len(fitted) == 2
    label = str(fitted[0].get_label())
    assert re.match(r"container: 4\d\d KiB each \[\d+ – \d+ KiB\], 21 points", label)
    counts, falls = fitted[0].get_data()
    (first, last), (fell, falls) = np.asarray(counts)[-2:], np.asarray(falls)[-2:]
    slope = (falls - fell) / (last - first)
    assert slope == pytest.approx(0.46 * (1 << 20), rel=0.1)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (1e-3, 1e-1, ["1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms", "100 ms"]),
        (1e-2, 1e4, ["10 ms", "100 ms", "1 s", "10 s", "100 s", "1000 s", "10000 s"]),
    ],
)
def test_a_logarithmic_axis_has_as_many_ticks_as_fit(
    low: float, high: float, labels: list[str]
) -> None:
    axes = Figure().subplots()
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    style.set_log_ticks(axes.xaxis, style.tick_formatter("second"))
    shown = [text.get_text() for text in axes.get_xticklabels()]
    ticks = [
        text for at, text in zip(axes.get_xticks(), shown, strict=True)
        if low * 0.999 <= at <= high * 1.001
    ]  # fmt: skip
    assert ticks == labels


@pytest.mark.parametrize("name", ["a$b$", "$x^2$", r"\\$", "[a](b)", "<b>", "two\nlines"])
def test_a_name_is_shown_literally(name: str) -> None:
    figure = Figure()
    text = figure.text(0, 0, style.plain(name))
    clean, is_math = text._preprocess_math(text.get_text())  # type: ignore[attr-defined]
    assert not is_math
    assert clean == " ".join(name.split())
    figure.draw_without_rendering()


def test_starts_that_failed_are_shown(run: Run) -> None:
    assert "n=2, 1 failed" in words(overview.startup(run))


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
def test_an_unmeasured_experiment_is_named(name: str, experiment: str, tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", experiments=("startup",)))
    assert f"{experiment} was not measured" in words(DRAW[name](run))
    assert "startup was not measured" not in words(overview.overview(run))


def test_unmeasured_starts_are_named(tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", experiments=("footprint",)))
    assert "startup was not measured" in words(overview.startup(run))


def test_a_waterfall_names_each_step_and_how_long_it_takes(run: Run) -> None:
    text = words(startup.waterfall(run))
    assert "prepare  794 µs" in text
    assert text.count("run  ") == 5


def test_unmeasured_steps_are_named(tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", experiments=("footprint",)))
    assert "startup was not measured" in words(startup.waterfall(run))


def test_a_picture_is_drawn_with_excluded_rounds(tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", disturbed={3: "steal took 9 %", 7: "load"}))
    assert "n=13" in words(overview.startup(run))
    assert words(overview.overview(run))
