"""A picture of the same bars on a whole axis and on one that is cut off below the smallest bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, MaxNLocator

from lab import units
from lab.language.message import Message, joined
from lab.report import palette, style
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes

    from lab.statistics.estimates import Estimate

_CUT = 0.97  # of the smallest bar
_HUES = ("#1d4ed8", "#ea8a0c", "#0f766e", "#7c3aed")


def draw(figures: Mapping[str, Estimate], unit: str, source: str) -> Picture:
    """Draw a bar for each figure, all of the same unit: whole on the left, cut off on the right."""
    with style.canvas():
        picture = Picture(figsize=(style.WIDTH, 2.4))
        whole, cut = picture.subplots(1, 2)
        for axis in (whole, cut):
            _draw_bars(axis, figures, unit)
        values = [each.centre or 0.0 for each in figures.values()]
        smallest, largest = min(values, default=0.0), max(values, default=1.0)
        shown = _CUT * smallest
        cut.set_ylim(shown, largest + (largest - shown) * 0.12)
        whole.set_title(picture.say(Message("the axis begins at zero")), fontsize=10)
        cut.set_title(picture.say(Message("the axis is cut off")), fontsize=10)
        times = largest / smallest if smallest else 1.0
        seen = (largest - shown) / (smallest - shown) if smallest else 1.0
        finding = Message(
            "{times:.3g} times as much looks like {seen:.3g} times", times=times, seen=seen
        )
        described = [
            f"{name} {units.quantity(each.centre, unit)}" for name, each in figures.items()
        ]
        conditions = [Message("bar: the figure · line: its 95 % interval"), source]
        alt = joined("", [finding, ": ", "; ".join(described), "."])
        return style.describe(picture, finding, conditions, alt)


def _draw_bars(axis: Axes, figures: Mapping[str, Estimate], unit: str) -> None:
    scale = style.tick_formatter(unit)
    for place, each in enumerate(figures.values()):
        colour = _HUES[place % len(_HUES)]
        axis.bar(place, each.centre or 0.0, width=0.55, color=colour)
        if each.low is not None and each.high is not None:
            axis.plot([place, place], [each.low, each.high], color=palette.INK, linewidth=1.6)
    names = ["\n(".join(map(style.plain, name.split(" (", 1))) for name in figures]
    axis.set_xticks(range(len(figures)), names, fontsize=7.5)
    axis.grid(visible=False, axis="x")
    axis.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axis.yaxis.set_major_formatter(FuncFormatter(scale))
