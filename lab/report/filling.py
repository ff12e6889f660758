"""Pictures of a host that fills: the latency of each next start, and the memory of each instance.

The memory of one more instance is the slope of the decrease of MemAvailable. It is drawn per
instance: points are the decrease divided by the number of instances, the line is the slope with its
interval. A slope that may be zero gets no line, since it would be a picture of noise.
"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

from lab import units
from lab.analysis import labels
from lab.claims.evidence import Figure, evidence_of
from lab.language.message import Message
from lab.report import findings, line_labels, palette, style
from lab.report.palette import FAINT
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from lab.report.line_labels import End
    from lab.results.run_folder import Run

    Points = Sequence[tuple[float, float]]

_PANEL_INCHES = 2.7
_ROW_INCHES = 0.3
_MOST_POINTS = 90
_BINS_PER_DECADE = 6


def draw(run: Run, width: float = style.WIDTH) -> Picture:
    """Draw start latency, and memory per instance, over the number of instances."""
    with style.canvas():
        starts, memory = _starts(run), memory_points(run)
        labels = max(
            line_labels.labels_inches([*starts], run, width),
            line_labels.labels_inches([*memory], run, width, sized=True),
        )
        height = max(_PANEL_INCHES, 0.6 + labels)
        picture = Picture(figsize=(width, 2 * height + 0.4))
        upper, lower = picture.subplots(2, 1)
        _latencies(upper, run, starts, height)
        _memory(lower, run, memory, height)
        hidden = sum(y <= 0 for _, points in memory.values() for _, y in points)
        conditions = [
            Message("above: a point a start, thinned; line: running median"),
            style.counts({name: len(points) for name, points in starts.items()}, run),
            Message("below: points and fitted slope; shade: its 95 % interval"),
            Message("{count} points at or below zero are not drawn", count=hidden)
            if hidden else "",
        ]  # fmt: skip
        return style.finish(picture, run, findings.memory(run), memory_values(run), conditions)


def memory_each(run: Run) -> Picture:
    """Draw the memory of one more instance with its interval, by target."""
    with style.canvas():
        picture = Picture(figsize=(style.WIDTH, memory_height(run)))
        draw_memory_rows(picture.subplots(), run)
        conditions = [Message("mark: fitted slope; bar: 95 % interval")]
        return style.finish(picture, run, findings.memory(run), memory_values(run), conditions)


def memory_height(run: Run) -> float:
    """Return the height of the rows of memory in inches."""
    return 0.8 + _ROW_INCHES * max(2, len(memory_points(run)))


def memory_values(run: Run) -> list[Message]:
    """Return the memory of one more instance as text, with its interval and n."""
    return [
        Message(
            "{target} {size} each [{interval}], {n}", target=style.named(name, run), n=slope.n,
            size=units.quantity(slope.centre, slope.unit, slope.high or 0.0),
            interval=slope.interval,
        )
        for name, (slope, _) in memory_points(run).items()
    ]  # fmt: skip


def draw_memory_rows(axis: Axes, run: Run) -> None:
    """Draw a row for each target: the memory of one more instance on a logarithmic scale."""
    slopes = {name: slope for name, (slope, _) in memory_points(run).items()}
    if not slopes:
        style.explain_empty(axis, run, "density")
        return
    axis.set_xscale("log")
    for row, (name, slope) in enumerate(slopes.items()):
        colour = palette.colour(name)
        if not _grows(slope):
            axis.annotate(
                style.say(axis, Message("no growth measured")), (0, row), (4, 0),
                xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
                fontsize=style.SMALL, color=FAINT,
            )  # fmt: skip
            continue
        style.draw_interval(axis, slope.low, slope.high, row, colour)
        style.draw_median(axis, slope.centre, row, colour, palette.marker(name))
        axis.annotate(
            style.say(axis, units.quantity(slope.centre, slope.unit, slope.high or 0.0)),
            (max(slope.centre, slope.high or 0.0), row), (7, 0), textcoords="offset points",
            va="center", fontsize=style.SMALL, color=colour, fontweight="bold",
        )  # fmt: skip
    style.label_rows(axis, [style.named(name, run) for name in slopes])
    low, high = axis.get_xlim()
    axis.set_xlim(low, high * (high / low) ** 0.18)
    style.set_log_ticks(axis.xaxis, style.tick_formatter("byte"), most=5, base=2)
    axis.set_xlabel(style.say(axis, Message("memory of one more instance (log scale)")))


def memory_points(run: Run) -> dict[str, tuple[Figure, Points]]:
    """Return by target the slope, and at each count the decrease of MemAvailable per instance."""
    evidence = evidence_of(run)
    result: dict[str, tuple[Figure, Points]] = {}
    for target, samples in _density(run, "memory-available").items():
        points: list[tuple[float, float]] = []
        for _, of_round in samples.groupby("round"):
            empty = of_round.loc[of_round["position"] == 0, "value"]
            some = of_round[of_round["position"] > 0]
            if len(empty):
                points += [
                    (float(count), (float(empty.iloc[0]) - float(value)) / float(count))
                    for count, value in zip(some["position"], some["value"], strict=True)
                ]
        slope = evidence.memory_each(target)
        if points and slope:
            result[target] = (slope, points)
    return result


def _grows(slope: Figure) -> bool:
    return slope.centre > 0 and (slope.low is None or slope.low > 0)


def _starts(run: Run) -> dict[str, Points]:
    return {
        target: [
            (float(position) + 1, float(value))
            for position, value in zip(samples["position"], samples["value"], strict=True)
        ]
        for target, samples in _density(run, "start-latency").items()
    }


def _latencies(axis: Axes, run: Run, starts: Mapping[str, Points], inches: float) -> None:
    axis.set_title(style.say(axis, Message("from the request to the first instruction")))
    if not starts:
        style.explain_empty(axis, run, "density")
        return
    axis.set_xscale("log")
    axis.set_yscale("log")
    ends, width = [], style.picture_of(axis).width
    for target, points in starts.items():
        colour = palette.colour(target)
        _draw_points(axis, points, colour, palette.marker(target))
        line = _running_median(points)
        axis.plot(*style.positive_points(*zip(*line, strict=True)), color=colour, linewidth=1.6)
        if drawn := [(x, y) for x, y in line if y > 0]:
            ends.append(line_labels.line_end(*drawn[-1], target, run, width))
    _finish_axes(axis, ends, inches, "second")


def _memory(
    axis: Axes, run: Run, memory: Mapping[str, tuple[Figure, Points]], inches: float
) -> None:
    axis.set_title(style.say(axis, Message("host's memory taken, per instance")))
    if not memory:
        style.explain_empty(axis, run, "density")
        return
    axis.set_xscale("log")
    axis.set_yscale("log")
    ends, width = [], style.picture_of(axis).width
    for target, (slope, points) in memory.items():
        colour = palette.colour(target)
        _draw_points(axis, points, colour, palette.marker(target))
        if not _grows(slope):
            continue
        span = [min(x for x, _ in points), max(x for x, _ in points)]
        axis.plot(span, [slope.centre] * 2, color=colour, linewidth=1.6)
        if slope.low and slope.high and slope.low < slope.high:
            axis.fill_between(span, slope.low, slope.high, color=colour, alpha=0.15, linewidth=0)
        size = units.quantity(slope.centre, slope.unit, slope.high or 0.0)
        ends.append(line_labels.line_end(span[1], slope.centre, target, run, width, size))
    _finish_axes(axis, ends, inches, "byte")


def _finish_axes(axis: Axes, ends: Sequence[End], inches: float, unit: str) -> None:
    style.set_log_ticks(axis.xaxis, lambda value, _: f"{value:,.0f}", style.most_ticks(axis))
    base = 2 if unit == "byte" else 10
    style.set_log_ticks(axis.yaxis, style.tick_formatter(unit), most=6, base=base)
    axis.set_xlabel(style.say(axis, Message("instances running (log scale)")))
    line_labels.label_ends(axis, ends, inches - 0.8)


def _draw_points(axis: Axes, points: Points, colour: str, marker: str) -> None:
    x, y = style.positive_points(*zip(*_thinned(points), strict=True))
    axis.plot(
        x, y, linestyle="none", marker=marker, markersize=3.4, color=colour, alpha=0.4,
        markeredgewidth=0,
    )  # fmt: skip


def _thinned(points: Points) -> Points:
    """Return at most so many points, evenly on the logarithmic scale of the counts."""
    inorder = sorted(points)
    if len(inorder) <= _MOST_POINTS:
        return inorder
    last = math.log(len(inorder))
    places = {round(math.exp(last * step / _MOST_POINTS)) - 1 for step in range(_MOST_POINTS + 1)}
    return [inorder[place] for place in sorted(places)]


def _running_median(points: Points) -> Points:
    """Return the medians of the points in bins of equal width on a logarithmic scale."""
    bins: dict[int, list[tuple[float, float]]] = {}
    for x, y in sorted(points):
        bins.setdefault(int(math.log10(x) * _BINS_PER_DECADE), []).append((x, y))
    medians = [
        (math.exp(median(math.log(x) for x, _ in each)), median(y for _, y in each))
        for each in bins.values()
    ]
    last = max(x for x, _ in points)
    return [*medians[:-1], (last, medians[-1][1])] if len(medians) > 1 else medians


def _density(run: Run, metric: str) -> dict[str, pd.DataFrame]:
    samples = run.samples
    chosen = samples[
        (samples["experiment"] == "density")
        & (samples["metric"] == metric)
        & samples["value"].notna()
    ]
    found = {str(target): points for target, points in chosen.groupby("target", sort=False)}
    return {name: found[name] for name in labels.in_order(found)}
