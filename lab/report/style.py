"""The common style of all pictures: rows, ticks, direct labels, intervals and raw samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from lab import tables, units
from lab.analysis import labels, provenance
from lab.language import text_width
from lab.language.message import Message, joined
from lab.language.punctuation import COMMA, SEMICOLON
from lab.report import palette
from lab.report.palette import EDGE, FAINT, GRID, INK, PAPER
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.gridspec import SubplotSpec

    from lab.results.run_folder import Run

WIDTH = 6.4  # inches, of a picture on a page
NARROW = 3.75  # on a telephone, whose page shows a picture at the size at which it is drawn
SMALL, TINY = 8.5, 7.5
LEGEND_COLUMNS, _NARROW_COLUMNS = 4, 2
_MOST_LETTERS = 22  # of a name; a longer name would leave no room for the picture
_MOST_LETTERS_NARROW = 18
_FRACTION, _FEW_DECADES, _MOST_TICKS = 0.5, 2.0, 8
_MOST_RAW = 30
STYLE: dict[Any, Any] = {
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelcolor": FAINT,
    "axes.labelsize": SMALL,
    "axes.edgecolor": EDGE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": SMALL,
}


def is_narrow(width: float) -> bool:
    """Return True if a picture of so many inches is one for a telephone."""
    return width < (WIDTH + NARROW) / 2


def canvas() -> Any:
    """Return a block in which everything is drawn in the common style."""
    return mpl.rc_context(STYLE)


def plain(text: str) -> str:
    """Return a name for Matplotlib to show literally: on one line, with dollar signs escaped."""
    return literal(_short(text))


def say_name(axis: Axes, name: str) -> str:
    """Return a name to show literally: a message is remembered, another name is shortened."""
    return say(axis, name) if isinstance(name, Message) else plain(name)


def literal(text: str) -> str:
    """Return a text of any length for Matplotlib to show literally on one line."""
    return tables.plain(text).replace("$", r"\$")


def named(target: str, run: Run, width: float = WIDTH) -> Message:
    """Return the target's name for a picture of that width; an emulated machine is labelled so."""
    if labels.is_emulated(target, run):
        return Message("{target} (emulated)", target=target_name(target, width))
    return joined("", [target_name(target, width)])


def say(axis: Axes, text: str) -> str:
    """Return a text for Matplotlib to show literally; the axes' picture remembers its message."""
    return picture_of(axis).say(text)


def picture_of(axis: Axes) -> Picture:
    """Return the picture of some axes."""
    picture = axis.get_figure(root=True)
    assert isinstance(picture, Picture)
    return picture


def finish(
    picture: Picture, run: Run, finding: Message, values: Iterable[str], conditions: Iterable[str]
) -> Picture:
    """Add the finding, a description with the values, and a caption with conditions and host."""
    values = list(values)
    shown = joined(SEMICOLON, values) if values else Message("nothing was measured")
    alt = Message("{finding}. {values}.", finding=finding, values=shown)
    return describe(picture, finding, [*conditions, provenance.line(run)], alt)


def describe(
    picture: Picture, finding: Message, conditions: Iterable[str], alt: Message
) -> Picture:
    """Add the finding, the conditions as a caption, and a description."""
    picture.colours = palette.page_colours()
    picture.frame(finding, joined(" · ", filter(None, conditions)), alt)
    return picture


def counts(counted: Mapping[str, int], run: Run) -> Message:
    """Return the number of values of each target, as a part of a caption."""
    groups: dict[int, list[str]] = {}
    for target, n in counted.items():
        groups.setdefault(n, []).append(target)
    if not groups:
        return joined("", ["n=0"])
    if len(groups) == 1:
        return joined("", [f"n={next(iter(groups)):,}"])
    most = max(groups, key=lambda n: len(groups[n]))
    others = [
        joined(" ", [joined(COMMA, map(target_name, names)), f"n={n:,}"])
        for n, names in groups.items() if n != most
    ]  # fmt: skip
    return Message("n={n}, but {others}", n=f"{most:,}", others=joined(COMMA, others))


def thinned(values: Sequence[float], most: int = _MOST_RAW) -> list[float]:
    """Return at most so many of the values, evenly by rank, with the smallest and the largest."""
    inorder = sorted(values)
    if len(inorder) <= most:
        return inorder
    step = (len(inorder) - 1) / (most - 1)
    return [inorder[round(step * place)] for place in range(most)]


def entry(marker: str, colour: str, label: str, *, hollow: bool = False) -> Line2D:
    """Return an entry of a legend."""
    return Line2D(
        [], [], color=colour, marker=marker, linestyle="none", markersize=5, label=label,
        markerfacecolor=PAPER if hollow else colour,
    )  # fmt: skip


def label_ratios(axes: Sequence[Axes], ratio: Message) -> None:
    """Label panels of ratios on a logarithmic scale: what is divided, and how to read it."""
    scale = Message("{what} (log scale)", what=ratio)
    reading = Message("right is slower")
    if len(axes) > 1:
        axes[0].set_xlabel(say(axes[0], scale), loc="left")
        axes[1].set_xlabel(say(axes[1], reading))
    else:
        axes[0].set_xlabel(say(axes[0], joined(COMMA, (scale, reading))))


def add_legend(axis: Axes, marks: list[Line2D], columns: int = 3) -> None:
    """Add the legend between the axes and what is above them."""
    if marks:
        axis.legend(
            handles=marks, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns,
            handletextpad=0.2, columnspacing=1.2, borderpad=0, borderaxespad=0.4,
        )  # fmt: skip


def legend_row(picture: Picture, place: SubplotSpec, targets: Sequence[str], run: Run) -> None:
    """Add a legend of targets in a row of its own, above several axes."""
    axis = picture.add_subplot(place)
    axis.set_axis_off()
    axis.legend(
        handles=[_target_entry(axis, name, run) for name in targets],
        loc="upper left", ncols=legend_columns(picture.width), handletextpad=0.2,
        columnspacing=1.2, borderpad=0, borderaxespad=0,
    ).set_in_layout(False)  # fmt: skip


def legend_columns(width: float) -> int:
    """Return the columns of a legend of targets in a picture of that width."""
    return _NARROW_COLUMNS if is_narrow(width) else LEGEND_COLUMNS


def add_target_legend(axis: Axes, targets: Iterable[str], run: Run, columns: int = 4) -> None:
    """Add a legend of targets, by colour and marker."""
    add_legend(
        axis,
        [_target_entry(axis, name, run) for name in targets],
        columns,
    )


def _target_entry(axis: Axes, target: str, run: Run) -> Line2D:
    name = say(axis, named(target, run, picture_of(axis).width))
    return entry(palette.marker(target), palette.colour(target), name)


def positive_points(x: Iterable[float], y: Iterable[float]) -> tuple[list[float], list[float]]:
    """Return the points with positive coordinates, which logarithmic scales can show."""
    points = [
        (a, b) for a, b in zip(x, y, strict=True) if 0 < a < math.inf and 0 < b < math.inf
    ]  # fmt: skip
    return [a for a, _ in points], [b for _, b in points]


def set_log_ticks(
    axis: Axis, text: Callable[[float, object], str], most: int = 8, base: float = 10.0
) -> None:
    """Set as many ticks as fit on a logarithmic axis, after everything has been drawn on it.

    They are at powers of the base: 2 for bytes.
    """
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if 0 < low < high else 0.0
    if decades < _FRACTION and base == 2:
        axis.set_major_locator(_ByteLocator(nbins=min(4, most), steps=[1, 2, 5, 10]))
    elif decades < _FRACTION:
        axis.set_major_locator(MaxNLocator(nbins=min(4, most), steps=[1, 2, 5, 10]))
    elif base != 10.0:
        axis.set_major_locator(LogLocator(base=base, numticks=most))
    else:
        few = _FEW_DECADES if most >= _MOST_TICKS else _FEW_DECADES * 0.7
        subs = (1.0, 2.0, 5.0) if decades <= few else (1.0,)
        axis.set_major_locator(LogLocator(subs=subs, numticks=most))
    axis.set_major_formatter(FuncFormatter(text))
    axis.set_minor_formatter(NullFormatter())
    axis.set_minor_locator(NullLocator())


class _ByteLocator(MaxNLocator):
    """Ticks at round numbers of the unit in which bytes are shown."""

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Return the places of the ticks between both ends."""
        size = units.scale_for(vmax, "byte").size
        return [size * tick for tick in super().tick_values(vmin / size, vmax / size)]


def most_ticks(axis: Axes) -> int:
    """Return how many ticks fit on an axis across the picture."""
    return _MOST_TICKS // 2 if is_narrow(picture_of(axis).width) else _MOST_TICKS


def label_rows(
    axis: Axes, names: Sequence[str], notes: Sequence[str] = (), size: float = 9.0
) -> None:
    """Label the rows at the left, the first at the top, each with a faint note below its name."""
    axis.set_yticks(range(len(names)), [""] * len(names))
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(visible=False, axis="y")
    for row, name in enumerate(names):
        note = notes[row] if row < len(notes) else ""
        for text, lift, colour, letters in (
            (name, 5 if note else 0, INK, size), (note, -5, FAINT, size - 1.5),
        ):  # fmt: skip
            if text:
                axis.annotate(
                    say(axis, text), (0, row), xycoords=("axes fraction", "data"),
                    xytext=(-5, lift), textcoords="offset points", ha="right", va="center",
                    fontsize=letters, color=colour, annotation_clip=False,
                )  # fmt: skip


def explain_empty(axis: Axes, run: Run, experiment: str) -> None:
    """Write on an empty axis why nothing is drawn."""
    shown = labels.experiment(experiment)
    if experiment in provenance.measured(run):
        text = Message("this run has no such figure")
    elif experiment in run.settings.get("experiments", ()):
        text = Message("no finished round of {experiment}", experiment=shown)
    else:
        text = Message("{experiment} was not measured", experiment=shown)
    write_empty(axis, text)


def write_empty(axis: Axes, text: Message) -> None:
    """Write a text on an axis on which nothing is drawn."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.text(0.5, 0.5, say(axis, text), transform=axis.transAxes, ha="center", color=FAINT)


def draw_interval(
    axis: Axes, low: float | None, high: float | None, y: float, colour: str, width: float = 2.0
) -> None:
    """Draw the interval if it is known and a logarithmic scale can show it."""
    if low is not None and high is not None and 0 < low <= high < math.inf:
        axis.plot([low, high], [y, y], color=colour, linewidth=width, solid_capstyle="butt")


def draw_median(
    axis: Axes, x: float, y: float, colour: str, marker: str, *, hollow: bool = False
) -> None:
    """Draw a median over its interval."""
    axis.plot(
        [x], [y], marker=marker, markersize=6, color=colour, markeredgewidth=0.9,
        markeredgecolor=colour if hollow else PAPER, markerfacecolor=PAPER if hollow else colour,
        linestyle="none",
    )  # fmt: skip


def draw_raw(axis: Axes, samples: Iterable[float], y: float, colour: str) -> None:
    """Draw raw samples pale, at most so many, evenly by rank."""
    shown = thinned([value for value in samples if 0 < value < math.inf])
    axis.plot(
        shown, [y] * len(shown), linestyle="none", marker="o", markersize=3.2, color=colour,
        alpha=0.25, markeredgewidth=0,
    )  # fmt: skip


def tick_formatter(unit: str) -> Callable[[float, object], str]:
    """Return a formatter of ticks with a readable unit; above 1 s, all ticks are in seconds."""

    def text(value: float, _: object) -> str:
        scale = units.scale_for(min(value, 1.0) if unit == "second" else value, unit)
        return f"{value / scale.size:,g} {scale.name}".rstrip()

    return text


def target_name(target: str, width: float = WIDTH) -> str:
    """Return the target's name without a label, on one line, not too long for a picture."""
    name = labels.target_name(target)
    if isinstance(name, Message):
        return name
    return _short(name, _MOST_LETTERS_NARROW if is_narrow(width) else _MOST_LETTERS)


def _short(name: str, most: int = _MOST_LETTERS) -> str:
    """Return the name, cut off if it is wider than so many Latin letters."""
    return text_width.cut(tables.plain(name), most)


def draw_shade(axis: Axes, middle: pd.Series[float], tail: pd.Series[float], colour: str) -> None:
    """Draw a shade from a line of medians up to a percentile."""
    both = tail.reindex(middle.index)
    shaded = both[(middle.index > 0) & (middle > 0) & (both > 0)]
    if len(shaded):
        low = middle[shaded.index]
        axis.fill_between(shaded.index, low, shaded, color=colour, alpha=0.1, linewidth=0)
