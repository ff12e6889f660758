"""The common style of all pictures: colours, legends, ticks, and the line of provenance."""

from __future__ import annotations

import io
import math
import textwrap
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from lab import tables, units
from lab.analysis import provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from lab.results.run_folder import Run

INK, FAINT = "#1f2937", "#6b7280"
# Grey for native, cool colours for containers, warm colours for machines.
COLOURS = {
    "native": FAINT,
    "container": "#0f766e",
    "crun": "#0ea5e9",
    "runc": "#1d4ed8",
    "podman": "#7c3aed",
    "docker": "#4d7c0f",
    "lxc": "#155e75",
    "lxc-dir": "#67e8f9",
    "vm": "#b91c1c",
    "vm-tuned": "#7f1d1d",
    "microvm": "#ea8a0c",
    "vm-restore": "#9d174d",
    "microvm-restore": "#d97706",
    "qemu": "#f87171",
    "qemu-microvm": "#fbbf24",
}
LEGEND_ROW_POINTS = 13
FOOT_INCHES = 0.42
_FOOT_LINE_INCHES, _FOOT_LETTER_INCHES = 0.14, 0.057
_MOST_LETTERS = 40  # of a name; a longer name would leave no room for the picture
_NARROW, _FEW_DECADES, _MOST_TICKS = 0.5, 2.0, 8
MARKS = "mark: median · bar: 95 % interval · pale: raw samples"
STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",
    "font.size": 9.5,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9ca3af",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "ytick.major.size": 0,
    "legend.frameon": False,
}


class Picture(Figure):
    """A figure that a notebook shows as SVG, with a description for people who can't see it."""

    alt = ""

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        kind, svg = "image/svg+xml", io.StringIO()
        self.savefig(svg, format="svg", metadata={"Date": None})
        return {kind: svg.getvalue()}, {kind: {"alt": self.alt}}


def plain(text: str) -> str:
    """Return a name for Matplotlib to show literally: on one line, with dollar signs escaped."""
    text = tables.plain(text)
    return literal(text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…")


def literal(text: str) -> str:
    """Return a text of any length for Matplotlib to show literally on one line."""
    return tables.plain(text).replace("$", r"\$")


def set_title(axis: Axes, title: str, marks: list[Line2D], columns: int = 3) -> None:
    """Set the title, with the legend below it."""
    rows = -(-len(marks) // columns)
    axis.set_title(title, pad=8 + rows * LEGEND_ROW_POINTS)
    if marks:
        axis.legend(
            handles=marks, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, fontsize=8.5,
            handletextpad=0.1, columnspacing=1.0, borderpad=0, borderaxespad=0.3,
        )  # fmt: skip


def legend_entry(marker: str, colour: str, label: str) -> Line2D:
    """Return an entry of a legend."""
    return Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=5, label=label)


def finish(figure: Picture, run: Run, alt: str, marks: str = MARKS) -> Picture:
    """Lay the figure out, describe it, and add the provenance and the marks below it."""
    return lay_out(figure, provenance.line(run), alt, marks)


def lay_out(figure: Picture, where: str, alt: str, marks: str) -> Picture:
    """Lay the figure out, describe it, and add a line on its source and the marks below it."""
    letters = int(figure.get_figwidth() / _FOOT_LETTER_INCHES)
    lines = [*textwrap.wrap(literal(where), letters), *textwrap.wrap(marks, letters)]
    foot = (_FOOT_LINE_INCHES * (1 + len(lines))) / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0, foot, 1, 1 - foot))
    figure.text(0.008, foot * 0.15, "\n".join(lines), fontsize=7.2, color=FAINT, va="bottom")
    figure.alt = tables.plain(alt)
    return figure


def description(title: str, values: Iterable[str]) -> str:
    """Return a picture's description: its title and the values that it shows."""
    return f"{title}: {'; '.join(values) or 'nothing was measured'}."


def positive_points(x: Iterable[float], y: Iterable[float]) -> tuple[list[float], list[float]]:
    """Return the points with positive coordinates, which logarithmic scales can show."""
    points = [(a, b) for a, b in zip(x, y, strict=True) if a > 0 and b > 0]
    return [a for a, _ in points], [b for _, b in points]


def set_log_ticks(axis: Axis, text: Callable[[float, object], str]) -> None:
    """Set as many ticks as fit on a logarithmic axis, after everything has been drawn on it."""
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if 0 < low < high else 0.0
    if decades < _NARROW:
        axis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    else:
        subs = (1.0, 2.0, 5.0) if decades <= _FEW_DECADES else (1.0,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=_MOST_TICKS))
    axis.set_major_formatter(FuncFormatter(text))
    axis.set_minor_formatter(NullFormatter())
    if decades > _MOST_TICKS:
        axis.set_minor_locator(NullLocator())


def label_rows(axis: Axes, names: Sequence[str]) -> None:
    """Label the rows with the names, the first at the top."""
    axis.set_yticks(range(len(names)), list(names))
    axis.set_ylim(len(names) - 0.4, -0.6)


def explain_empty(axis: Axes, run: Run, experiment: str) -> None:
    """Write on an empty axis why nothing is drawn."""
    measured = experiment in run.settings.get("experiments", ())
    text = f"no finished round of {experiment}" if measured else f"{experiment} was not measured"
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", color="#9ca3af")


def draw_interval(axis: Axes, low: float | None, high: float | None, y: float, colour: str) -> None:
    """Draw the interval if it is known and a logarithmic scale can show it."""
    if low is not None and high is not None and low > 0:
        axis.plot([low, high], [y, y], color=colour, linewidth=1.8, alpha=0.75)


def draw_band(
    axis: Axes, middle: pd.Series[float], tail: pd.Series[float], colour: str, size: float = 4
) -> None:
    """Draw a line of medians by position, and a shade up to a percentile."""
    both = tail.reindex(middle.index)
    at, line = positive_points(middle.index, middle)
    axis.plot(at, line, marker="o", markersize=size, color=colour)
    shaded = both[(middle.index > 0) & (middle > 0) & (both > 0)]
    if len(shaded):
        low = middle[shaded.index]
        axis.fill_between(shaded.index, low, shaded, color=colour, alpha=0.15, linewidth=0)


def in_order(targets: Iterable[str]) -> list[str]:
    """Return the targets in the order of all pictures: native, containers, machines."""
    order = [*COLOURS]
    return sorted(targets, key=lambda name: order.index(name) if name in order else len(order))


def tick_formatter(unit: str) -> Callable[[float, object], str]:
    """Return a formatter of ticks with a readable unit; above 1 s, all ticks are in seconds."""

    def text(value: float, _: object) -> str:
        scale = units.scale_for(min(value, 1.0) if unit == "second" else value, unit)
        return f"{value / scale.size:g} {scale.name}"

    return text


def colour(target: str) -> str:
    """Return the target's colour, the same in every picture."""
    return COLOURS.get(target, INK)
