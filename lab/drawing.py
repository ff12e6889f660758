"""How every picture looks, and what none goes without: its marks, and where it was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from lab import provenance, units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lab.results import Run

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


def finished(figure: Figure, run: Run, marks: str = MARKS) -> Figure:
    """Lay it out and say underneath where it was measured: no picture goes without."""
    foot = FOOT_INCHES / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0, foot, 1, 1 - foot))
    figure.text(
        0.008, foot * 0.15,
        f"{provenance.line(run)}\n{marks}",
        fontsize=7.2, color=FAINT, va="bottom",
    )  # fmt: skip
    return figure


def rows(axis: Axes, names: Sequence[str]) -> None:
    """A row a name, the first at the top."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)


def say_empty(axis: Axes, run: Run, experiment: str) -> None:
    """Say on an axis on which nothing is drawn why that is."""
    measured = experiment in run.settings.get("experiments", ())
    text = f"no finished round of {experiment}" if measured else f"{experiment} was not measured"
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", color="#9ca3af")


def whisker(axis: Axes, low: float | None, high: float | None, y: float, colour: str) -> None:
    """An interval, where there is one."""
    if low is not None and high is not None:
        axis.plot([low, high], [y, y], color=colour, linewidth=1.8, alpha=0.75)


def ordered(targets: Iterable[str]) -> list[str]:
    """Targets as every picture has them: native, containers, machines."""
    order = [*COLOURS]
    return sorted(targets, key=lambda name: order.index(name) if name in order else len(order))


def tick(unit: str) -> Callable[[float, object], str]:
    """A formatter of ticks in the unit that a reader has a feeling for."""

    def shown(value: float, _: object) -> str:
        scale = units.scale_for(value, unit)
        return f"{value / scale.size:g} {scale.name}"

    return shown


def colour(target: str) -> str:
    """The target's colour, the same in every picture."""
    return COLOURS.get(target, INK)
