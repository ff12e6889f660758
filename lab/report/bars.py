"""Bars: one panel for each metric, one row for each target, the value beside its bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import units
from lab.analysis import labels, summary
from lab.language.message import Message
from lab.report import palette, style
from lab.report.palette import FAINT, INK
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from lab.results.run_folder import Run

Measured = dict[tuple[str, str], summary.Measurement]
_ROW_INCHES = 0.235
_FAR_APART = 30.0  # the ratio from which bars of small values would be invisible


def draw(
    run: Run, experiment: str, panels: Mapping[str, Message], columns: int, width: float
) -> Picture:
    """Draw a panel of bars for each metric, each with the scale of its own unit.

    A narrow picture has all panels below each other.
    """
    if style.is_narrow(width):
        columns = 1
    with style.canvas():
        found = measured(run, experiment, panels)
        targets = labels.in_order({target for target, _ in found})
        rows = -(-len(panels) // columns)
        height = rows * (0.75 + _ROW_INCHES * max(2, len(targets)))
        picture = Picture(figsize=(width, height))
        axes = picture.subplots(rows, columns, squeeze=False).flatten()
        for place, (metric, title) in enumerate(panels.items()):
            axis = axes[place]
            each = {name: found[name, metric] for name in targets if (name, metric) in found}
            _panel(axis, targets, each)
            axis.set_title(style.say(axis, title))
            names = [style.named(name, run, width) for name in targets]
            style.label_rows(axis, names if place % columns == 0 else [""] * len(names), size=8.5)
            if not targets:
                style.explain_empty(axis, run, experiment)
        return picture


def measured(run: Run, experiment: str, metrics: Mapping[str, Message]) -> Measured:
    """Return the figures of these metrics."""
    return {
        (each.target, each.metric): each
        for each in summary.measurements(run)
        if each.experiment == experiment and each.median is not None and each.metric in metrics
    }


def rounds(found: Measured) -> dict[str, int]:
    """Return the largest number of values of each target."""
    return {
        target: max(each.n for (name, _), each in found.items() if name == target)
        for target in labels.in_order({target for target, _ in found})
    }


def _panel(axis: Axes, targets: Sequence[str], each: Mapping[str, summary.Measurement]) -> None:
    """Draw bars from zero, or marks on a logarithmic scale where values are far apart."""
    ends = [max(one.median or 0.0, one.high or 0.0) for one in each.values()]
    largest = max(ends, default=0.0) or 1.0
    smallest = min((one.median or 0.0 for one in each.values()), default=0.0)
    is_log = 0 < smallest < largest / _FAR_APART
    for row, target in enumerate(targets):
        if target not in each:
            axis.annotate(
                "—", (0, row), (4, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", fontsize=style.SMALL, color=FAINT,
            )  # fmt: skip
            continue
        one, colour = each[target], palette.colour(target)
        value = max(0.0, one.median or 0.0)
        if is_log:
            style.draw_interval(axis, one.low, one.high, row, colour)
            style.draw_median(axis, value, row, colour, palette.marker(target))
        else:
            axis.barh(row, value, height=0.62, color=colour, linewidth=0)
            if one.low is not None and one.high is not None and one.low < one.high:
                axis.plot([max(0.0, one.low), one.high], [row, row], color=INK, linewidth=1.2)
        axis.annotate(
            style.say(axis, units.quantity(one.median, one.unit)),
            (max(value, one.high or 0.0), row), (7 if is_log else 4, 0),
            textcoords="offset points", va="center", fontsize=style.SMALL,
        )  # fmt: skip
    axis.spines["left"].set_visible(not is_log)
    axis.grid(visible=False)
    if is_log:
        axis.set_xscale("log")
        axis.set_xlim(smallest / 2, largest * (largest / smallest) ** 0.6)
        unit = next(iter(each.values())).unit
        base = 2 if unit == "byte" else 10
        style.set_log_ticks(axis.xaxis, style.tick_formatter(unit), most=3, base=base)
        axis.grid(visible=True, axis="x")
        axis.set_xlabel(style.say(axis, Message("log scale")))
    else:
        axis.set_xlim(0, largest * 1.5)
        axis.set_xticks([])
        axis.spines["bottom"].set_visible(False)
