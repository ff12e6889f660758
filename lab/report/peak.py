"""The picture of a scenario: each variant side by side through the peak."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from lab import tables, units
from lab.errors import InvalidConfig, ReportFailed
from lab.report import style
from lab.report.style import FAINT, INK, STYLE, Picture
from lab.scaling import text
from lab.scaling.results import finding, label

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from lab.scaling.results import Result, VariantResult

KINDS = (".svg", ".png", ".pdf")
# For variants that are not named as a target.
_HUES = ("#0f766e", "#b91c1c", "#9d174d", "#1d4ed8", "#ea8a0c", "#7c3aed", "#4d7c0f")
_P95 = 1  # the place of the 95th percentile in a series
_TITLE_LETTERS = 92
_FOOT_LETTERS = 150
_FOOT_LINE_INCHES = 0.14


def check(path: Path) -> None:
    """Raise InvalidConfig if a picture can't be written to a path for its ending or its folder."""
    if path.suffix.lower() not in KINDS:
        raise InvalidConfig(f"{path}: a picture's name ends in {', '.join(KINDS)}.")
    if not path.absolute().parent.is_dir():
        raise InvalidConfig(f"{path}: there is no folder {path.absolute().parent}.")


def write(result: Result, path: Path) -> None:
    """Draw a result to a file, in the format of its ending. Raise ReportFailed."""
    try:
        draw(result).savefig(path, dpi=150, metadata=_metadata(path))
    except OSError as error:
        raise ReportFailed(f"Can't write {path}: {error.strerror}.") from error


def _metadata(path: Path) -> dict[str, str | None]:
    """Return metadata without a date, so that the same result gives the same file."""
    key = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix.lower())
    return {key: None} if key else {}


def draw(result: Result) -> Picture:
    """Draw load, missed requests, latencies and instances of all variants over time."""
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(8.6, 8.4))
        axes = figure.subplots(4, 1, sharex=True, height_ratios=[0.8, 1, 1.3, 1])
        load, missed, latency, instances = axes
        _load(load, result)
        _add_legend(load, result)
        for place, variant in enumerate(result.variants):
            colour = _colour(variant, place)
            _missed(missed, variant, colour)
            _latency(latency, variant, colour)
            series = variant.series
            instances.plot(series.begins, series.ready, color=colour, linewidth=1.6)
            instances.plot(series.begins, series.replicas, color=colour, linewidth=0.9,
                           linestyle=":")  # fmt: skip
        _finish_axes(axes, result)
        _finish(figure, result)
        return figure


def _load(axis: Axes, result: Result) -> None:
    series = result.variants[0].series
    axis.fill_between(series.begins, series.arrived, color=FAINT, alpha=0.3, linewidth=0)
    axis.plot(series.begins, series.arrived, color=FAINT, linewidth=1.2)
    axis.set_ylabel("requests /s")
    axis.set_ylim(bottom=0)


def _add_legend(axis: Axes, result: Result) -> None:
    """Name the variants above the topmost axis."""
    marks = [
        Line2D([], [], color=_colour(variant, place), label=style.plain(label(variant)))
        for place, variant in enumerate(result.variants)
    ]
    axis.legend(handles=marks, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, fontsize=8.5)


def _missed(axis: Axes, variant: VariantResult, colour: str) -> None:
    series = variant.series
    share = np.divide(
        series.missed, series.arrived, out=np.zeros(len(series.begins)), where=series.arrived > 0
    )
    axis.plot(series.begins, 100 * share, color=colour, linewidth=1.6)


def _latency(axis: Axes, variant: VariantResult, colour: str) -> None:
    series = variant.series
    axis.plot(series.begins, series.latencies[0], color=colour, linewidth=0.9, linestyle=":")
    axis.plot(series.begins, series.latencies[_P95], color=colour, linewidth=1.6)


def _finish_axes(axes: Sequence[Axes], result: Result) -> None:
    _, missed, latency, instances = axes
    missed.set_ylabel("missed")
    missed.set_ylim(-3, 103)
    missed.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    latency.set_ylabel("latency")
    latency.set_yscale("log")
    objective = float(result.scenario.table.objective)
    latency.axhline(objective, color=INK, linewidth=0.8, linestyle="--")
    latency.annotate(
        f"objective {units.quantity(objective, 'second')}", (1, objective),
        xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7.5,
    )  # fmt: skip
    style.set_log_ticks(latency.yaxis, style.tick_formatter("second"))
    instances.set_ylabel("instances")
    instances.set_ylim(bottom=0)
    instances.set_xlabel("time")
    instances.set_xlim(0, result.scenario.duration)
    instances.xaxis.set_major_formatter(FuncFormatter(style.tick_formatter("second")))
    if peak := result.scenario.arrivals.peak:
        for axis in axes:
            axis.axvspan(*peak, color=FAINT, alpha=0.08, linewidth=0)


def _finish(figure: Picture, result: Result) -> None:
    """Add the title, and the conditions below the picture."""
    title = title_of(result)
    unbroken = title.replace(" %", "\N{NO-BREAK SPACE}%")
    lines = textwrap.wrap(unbroken, _TITLE_LETTERS, break_on_hyphens=False)
    shown = "\n".join(lines).replace("$", r"\$")
    figure.suptitle(shown, x=0.008, ha="left", fontsize=11.5, fontweight="bold")
    conditions = " · ".join([
        f"simulated: {tables.plain(result.scenario.name)}",
        f"{result.replications} replication{'s' * (result.replications > 1)}, seed {result.seed}",
        "latency: 95th percentile, dotted: median · instances: ready, dotted: asked for",
        "shade: the peak",
        *([text.EMULATED] if result.scenario.emulated else []),
    ])  # fmt: skip
    lines = textwrap.wrap(conditions, _FOOT_LETTERS)
    foot = _FOOT_LINE_INCHES * (1 + len(lines)) / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0, foot, 1, 1 - foot))
    figure.text(0.008, foot * 0.15, "\n".join(lines).replace("$", r"\$"), fontsize=7.2,
                color=FAINT, va="bottom")  # fmt: skip
    figure.alt = tables.plain(f"{title}.")


def title_of(result: Result) -> str:
    """Return the picture's title: the finding."""
    sentence = finding(result)
    return tables.plain(sentence[:1].upper() + sentence[1:])


def _colour(variant: VariantResult, place: int) -> str:
    return style.COLOURS.get(variant.name, _HUES[place % len(_HUES)])
