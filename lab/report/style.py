"""How every picture looks, and what none goes without: its marks, and where it was measured."""

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
# Grey is native, cool colours are containers, warm ones machines.
COLOURS = {
    "native": FAINT,
    "container": "#0f766e",
    "crun": "#0ea5e9",
    "runc": "#1d4ed8",
    "podman": "#7c3aed",
    "docker": "#4d7c0f",
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
_MOST_LETTERS = 40  # of a name; longer ones leave no room for the picture
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
    """A figure that a notebook shows as SVG, with a description for those who don't see it."""

    alt = ""

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        kind, drawn = "image/svg+xml", io.StringIO()
        self.savefig(drawn, format="svg", metadata={"Date": None})
        return {kind: drawn.getvalue()}, {kind: {"alt": self.alt}}


def plain(text: str) -> str:
    """Return a name as Matplotlib shows it as it is: on one line, no dollar begins a formula."""
    text = tables.plain(text)
    text = text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 1]}…"
    return text.replace("$", r"\$")


def titled(axis: Axes, title: str, marks: list[Line2D], columns: int = 3) -> None:
    """The title with what the marks mean under it."""
    rows = -(-len(marks) // columns)
    axis.set_title(title, pad=8 + rows * LEGEND_ROW_POINTS)
    if marks:
        axis.legend(
            handles=marks, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, fontsize=8.5,
            handletextpad=0.1, columnspacing=1.0, borderpad=0, borderaxespad=0.3,
        )  # fmt: skip


def mark(marker: str, colour: str, label: str) -> Line2D:
    """One entry of a legend."""
    return Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=5, label=label)


def finished(figure: Picture, run: Run, alt: str, marks: str = MARKS) -> Picture:
    """Lay it out, describe it, and say underneath where it was measured: none goes without."""
    letters = int(figure.get_figwidth() / _FOOT_LETTER_INCHES)
    where = tables.plain(provenance.line(run)).replace("$", r"\$")
    lines = [*textwrap.wrap(where, letters), *textwrap.wrap(marks, letters)]
    foot = (_FOOT_LINE_INCHES * (1 + len(lines))) / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0, foot, 1, 1 - foot))
    figure.text(0.008, foot * 0.15, "\n".join(lines), fontsize=7.2, color=FAINT, va="bottom")
    figure.alt = tables.plain(alt)
    return figure


def listed(title: str, said: Iterable[str]) -> str:
    """Return a description: the title, and what the picture shows."""
    return f"{title}: {'; '.join(said) or 'nothing was measured'}."


def positive(x: Iterable[float], y: Iterable[float]) -> tuple[list[float], list[float]]:
    """Return the points that logarithmic scales can show."""
    points = [(a, b) for a, b in zip(x, y, strict=True) if a > 0 and b > 0]
    return [a for a, _ in points], [b for _, b in points]


def log_ticks(axis: Axis, shown: Callable[[float, object], str]) -> None:
    """Put ticks on a logarithmic axis on which all is drawn: so many as there is room for."""
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if 0 < low < high else 0.0
    if decades < _NARROW:
        axis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))
    else:
        subs = (1.0, 2.0, 5.0) if decades <= _FEW_DECADES else (1.0,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=_MOST_TICKS))
    axis.set_major_formatter(FuncFormatter(shown))
    axis.set_minor_formatter(NullFormatter())
    if decades > _MOST_TICKS:
        axis.set_minor_locator(NullLocator())


def rows(axis: Axes, names: Sequence[str]) -> None:
    """A row a name, the first at the top."""
    axis.set_yticks(range(len(names)), list(names))
    axis.set_ylim(len(names) - 0.4, -0.6)


def say_empty(axis: Axes, run: Run, experiment: str) -> None:
    """Say on an axis on which nothing is drawn why that is."""
    measured = experiment in run.settings.get("experiments", ())
    text = f"no finished round of {experiment}" if measured else f"{experiment} was not measured"
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", color="#9ca3af")


def whisker(axis: Axes, low: float | None, high: float | None, y: float, colour: str) -> None:
    """An interval, where there is one that a logarithmic scale can show."""
    if low is not None and high is not None and low > 0:
        axis.plot([low, high], [y, y], color=colour, linewidth=1.8, alpha=0.75)


def band(
    axis: Axes, middle: pd.Series[float], tail: pd.Series[float], colour: str, size: float = 4
) -> None:
    """A line of medians by position, and the shade up to a percentile of theirs."""
    both = tail.reindex(middle.index)
    at, line = positive(middle.index, middle)
    axis.plot(at, line, marker="o", markersize=size, color=colour)
    shaded = both[(middle.index > 0) & (middle > 0) & (both > 0)]
    if len(shaded):
        low = middle[shaded.index]
        axis.fill_between(shaded.index, low, shaded, color=colour, alpha=0.15, linewidth=0)


def ordered(targets: Iterable[str]) -> list[str]:
    """Targets as every picture has them: native, containers, machines."""
    order = [*COLOURS]
    return sorted(targets, key=lambda name: order.index(name) if name in order else len(order))


def tick(unit: str) -> Callable[[float, object], str]:
    """A formatter of ticks in the unit that a reader has a feeling for; 1,000 s are not minutes."""

    def shown(value: float, _: object) -> str:
        scale = units.scale_for(min(value, 1.0) if unit == "second" else value, unit)
        return f"{value / scale.size:g} {scale.name}"

    return shown


def colour(target: str) -> str:
    """The target's colour, the same in every picture."""
    return COLOURS.get(target, INK)
