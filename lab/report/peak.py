"""The picture of a scenario: each variant side by side through the peak."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from lab import tables, units
from lab.language.message import Message, capitalized, in_context, joined
from lab.report import palette, style
from lab.report.palette import FAINT, INK
from lab.report.picture import Picture
from lab.scaling import text
from lab.scaling.results import finding, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from lab.scaling.results import Result, VariantResult

# For variants that are not named as a target.
_HUES = ("#0f766e", "#b91c1c", "#9d174d", "#1d4ed8", "#ea8a0c", "#7c3aed", "#4d7c0f")
_LEGEND_COLUMNS = 4
_P95 = 1  # the place of the 95th percentile in a series


def draw(result: Result) -> Picture:
    """Draw load, missed requests, latencies and instances of all variants over time."""
    with style.canvas():
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
    rows = -(-len(result.variants) // _LEGEND_COLUMNS)
    axis.set_title(style.say(axis, Message("requests /s")), pad=8 + 14 * rows)
    axis.set_ylim(bottom=0)


def _add_legend(axis: Axes, result: Result) -> None:
    """Name the variants above the topmost axis."""
    marks = [
        Line2D([], [], color=_colour(variant, place), label=style.say_name(axis, label(variant)))
        for place, variant in enumerate(result.variants)
    ]
    style.add_legend(axis, marks, _LEGEND_COLUMNS)


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
    missed.set_title(style.say(missed, Message("missed")))
    missed.set_ylim(-3, 103)
    missed.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    latency.set_title(style.say(latency, Message("latency")))
    latency.set_yscale("log")
    objective = float(result.scenario.table.objective)
    latency.axhline(objective, color=INK, linewidth=0.8, linestyle="--")
    named = Message("objective {time}", time=units.quantity(objective, "second"))
    latency.annotate(
        style.say(latency, named), (1, objective),
        xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=7.5,
    )  # fmt: skip
    style.set_log_ticks(latency.yaxis, style.tick_formatter("second"))
    instances.set_title(style.say(instances, in_context("scaling", "instances")))
    instances.set_ylim(bottom=0)
    instances.set_xlabel(style.say(instances, Message("time")))
    instances.set_xlim(0, result.scenario.duration)
    instances.xaxis.set_major_formatter(FuncFormatter(style.tick_formatter("second")))
    if peak := result.scenario.arrivals.peak:
        for axis in axes:
            axis.axvspan(*peak, color=FAINT, alpha=0.08, linewidth=0)


def _finish(figure: Picture, result: Result) -> None:
    """Add the title, and the conditions below the picture."""
    conditions = [
        Message("simulated: {name}", name=tables.plain(result.scenario.name)),
        Message("{count} replications, seed {seed}", count=result.replications, seed=result.seed)
        if result.replications > 1
        else Message("1 replication, seed {seed}", seed=result.seed),
        Message("latency: 95th percentile, dotted: median"),
        Message("instances: ready, dotted: asked for"),
        Message("shade: the peak"),
        *([text.EMULATED] if result.scenario.emulated else []),
    ]
    title = joined("", [capitalized(finding(result))])
    style.describe(figure, title, conditions, joined("", [title, "."]))


def _colour(variant: VariantResult, place: int) -> str:
    return (
        palette.colour(variant.name) if variant.name in palette.LOOKS else _HUES[place % len(_HUES)]
    )
