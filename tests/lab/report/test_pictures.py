"""Pictures: provenance, labels, layout and descriptions."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from lab.analysis import summary
from lab.language.message import Language, translated
from lab.report import filling, overview, start_times, startup, style
from lab.report.picture import Picture
from lab.results import run_folder
from lab.results.run_folder import Run
from tests.lab.plausible import write
from tests.lab.report.pictures import DRAW, words
from tests.lab.with_samples import with_samples


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_folder.load(write(tmp_path_factory.mktemp("figures") / "run"))


@pytest.mark.parametrize("name", DRAW)
def test_a_picture_says_where_it_comes_from(name: str, run: Run) -> None:
    text = words(DRAW[name](run))
    for fact in ("host plausible", "machines emulated (TCG)", "page cache warm"):
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
        (text.get_text(), Text.get_window_extent(text, renderer))  # without an arrow
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


@pytest.mark.filterwarnings("error:constrained_layout")
@pytest.mark.parametrize("width", [style.WIDTH, style.NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("made", [*RUNS, "long names"])
def test_no_text_is_cut_or_over_another(made: str, width: float, tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", **RUNS.get(made, {})))
    if made == "long names":
        long = {"podman": "p" * 60, "crun": "容器" * 30}
        names = [long.get(name, name) for name in run.sample_columns["target"]]
        run = replace(run, sample_columns={**run.sample_columns, "target": names})
    for name, draw in DRAW.items():
        figure = draw(run) if name == "overview" else draw(run, width)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            found = texts(figure)
        right, top = figure.bbox.width, figure.bbox.height
        for at, (label, box) in enumerate(found):
            assert box.x0 > -2, (name, label)
            assert box.x1 < right + 2, (name, label)
            assert box.y1 < top + 2, (name, label)
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


def test_memory_per_instance_is_a_level_among_the_points(run: Run) -> None:
    lower = overview.density(run).axes[1]
    levels = [line for line in lower.lines if line.get_linestyle() == "-"]
    assert len(levels) == 2
    each = sorted(float(np.asarray(line.get_ydata())[0]) for line in levels)
    assert each[0] == pytest.approx(0.46 * (1 << 20), rel=0.1)
    assert re.search(
        r"container 4\d\d KiB each \[\d+ – \d+ KiB\], 21 points", overview.density(run).alt
    )


def test_noise_is_not_drawn_as_memory(tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", noise=9.0))
    for name, (slope, points) in filling.memory_points(run).items():
        falling = replace(slope, centre=-slope.centre, low=-5.0, high=5.0)
        assert not filling._grows(falling), name
        assert points


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (1e-3, 1e-1, ["1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms", "100 ms"]),
        (1e-2, 1e4, ["10 ms", "100 ms", "1 s", "10 s", "100 s", "1,000 s", "10,000 s"]),
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
    text = words(overview.startup(run))
    assert "1 failed" in text
    assert "vm n=2" in text


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


def test_native_alone_has_rounds_but_no_ratio(run: Run) -> None:
    alone = with_samples(run, run.samples[run.samples["target"] == "native"])
    svg = overview.near_native(alone).svg()
    assert "no round has a target and native" in svg
    assert "no finished round" not in svg


def test_a_start_without_steps_was_measured(run: Run) -> None:
    alone = with_samples(run, run.samples[run.samples["target"] == "native"])
    drawn = startup.waterfall(alone)
    assert "this run has no such figure" in drawn.svg()
    assert "footprint" not in DRAW["idle"](alone).svg(Language.CHINESE)


def test_a_figure_stands_beyond_the_interval(tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", experiments=("startup",)))
    with style.canvas():
        axis = Picture().subplots()
        start_times.draw_on(axis, run)
    (label,) = [
        each for each in axis.texts if isinstance(each, Annotation) and each.get_text() == "1.46 s"
    ]
    measured = {(each.target, each.metric): each for each in summary.measurements(run)}[
        "microvm", "ready"
    ]
    assert measured.high is not None
    assert label.xy[0] >= measured.high > max(measured.samples)


@pytest.mark.parametrize("name", ["startup", "overview"])
def test_a_description_has_no_english_metric(name: str, run: Run) -> None:
    described = translated(DRAW[name](run).alt, Language.CHINESE)
    assert "首条指令" in described
    assert not re.search(r"first-instruction|ready|userspace", described)


def test_a_waterfall_names_each_step_and_how_long_it_takes(run: Run) -> None:
    text = words(startup.waterfall(run)).splitlines()
    assert text[text.index("prepare") + 1] == "794 µs"
    assert "container: 2.65 ms in all" in text


def test_unmeasured_steps_are_named(tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", experiments=("footprint",)))
    assert "startup was not measured" in words(startup.waterfall(run))


def test_a_picture_is_drawn_with_excluded_rounds(tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run", disturbed={3: "steal took 9 %", 7: "load"}))
    assert "n=13" in words(overview.startup(run))
    assert words(overview.overview(run))


@pytest.mark.parametrize("written", ["svg", "png"])
def test_a_picture_is_drawn_once_when_it_is_written(written: str, run: Run, tmp_path: Path) -> None:
    """Matplotlib lays it out by drawing everything a first time, which is left out."""
    picture = DRAW["burst"](run)
    drawn: list[Line2D] = []

    class Counted(Line2D):
        def draw(self, renderer: RendererBase) -> None:
            drawn.append(self)
            super().draw(renderer)

    picture.axes[0].add_line(Counted([1, 2], [1, 2]))
    before = [axis.get_position().bounds for axis in picture.axes]
    if written == "svg":
        picture.bilingual_svg()
    else:
        picture.write(tmp_path / "picture.png")
    assert len(drawn) == 1
    assert [axis.get_position().bounds for axis in picture.axes] != before  # laid out
