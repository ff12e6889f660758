"""The parts of every picture: scales, rows, labels and samples, with any values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from matplotlib.axes import Axes

from lab.language.message import joined
from lab.report import line_labels, style
from lab.report.line_labels import End
from lab.report.picture import Picture


def drawn(draw: Callable[[Axes], None]) -> str:
    with style.canvas():
        picture = Picture(figsize=(style.WIDTH, 2.5))
        draw(picture.subplots())
        text = joined("", ["text"])
        return style.describe(picture, text, ["n=1"], text).svg()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "values",
    [[], [0.5], [0.0], [2.0] * 9, [math.nan, 1.0, 2.0], [math.inf, 1.0], [-1.0], [1e-12, 1e15]],
    ids=["none", "one", "zero", "equal", "NaN", "infinite", "negative", "far apart"],
)
def test_a_logarithmic_axis_shows_any_values(values: list[float]) -> None:
    def draw(axis: Axes) -> None:
        axis.set_xscale("log")
        style.draw_raw(axis, values, 0, "#000000")
        style.label_rows(axis, ["a"])
        style.set_log_ticks(axis.xaxis, style.tick_formatter("second"))

    assert ">a<" in drawn(draw)


def test_ticks_of_alike_sizes_are_round_in_their_unit() -> None:
    with style.canvas():
        axis = Picture(figsize=(style.WIDTH, 2.5)).subplots()
        axis.set_xscale("log")
        axis.set_xlim(99.8 * 2**20, 103.2 * 2**20)
        style.set_log_ticks(axis.xaxis, style.tick_formatter("byte"), base=2)
        low, high = axis.get_xlim()
        shown = [text.get_text() for text in axis.get_xticklabels()]
        within = [
            text for place, text in zip(axis.get_xticks(), shown, strict=True) if low < place < high
        ]
    assert len(within) > 1
    assert all(re.fullmatch(r"\d+(\.5)? MiB", text) for text in within)


@pytest.mark.filterwarnings("error")
def test_forty_lines_are_labelled() -> None:
    def draw(axis: Axes) -> None:
        axis.set_yscale("log")
        axis.plot([1, 2], [1, 42])
        ends = [End(2, each + 1, f"target {each}", "#000000") for each in range(40)]
        line_labels.label_ends(axis, ends, 5)

    svg = drawn(draw)
    assert all(f">target {each}<" in svg for each in range(40))


def test_labels_are_apart_and_near_their_lines() -> None:
    assert line_labels.spread([], []) == []
    assert line_labels.spread([0.5, 0.5, 0.5], [0.25] * 3) == pytest.approx([0.25, 0.5, 0.75])
    assert line_labels.spread([0, 0, 0], [0.1] * 3) == pytest.approx([0, 0.1, 0.2])
    assert line_labels.spread([0.9, 1, 1], [0.1] * 3) == pytest.approx([0.8, 0.9, 1.0])
    assert line_labels.spread([0.1, 0.9], [0.1] * 2) == [0.1, 0.9]
    assert line_labels.spread([0.5] * 3, [0.2, 0.4, 0.2]) == pytest.approx([0.2, 0.5, 0.8])
    assert line_labels.spread([0, 1], [0.2, 0.4], 0.05) == pytest.approx([0.05, 0.85])


def test_samples_are_thinned_evenly_with_both_ends() -> None:
    assert style.thinned([3.0, 1.0, 2.0]) == [1.0, 2.0, 3.0]
    assert style.thinned([float(each) for each in range(1001)], 5) == [0, 250, 500, 750, 1000]
