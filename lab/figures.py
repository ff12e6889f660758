"""The run as pictures: raw points, the median, its 95 % interval, and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from lab import drawing, summary, units
from lab.drawing import COLOURS, FAINT, FOOT_INCHES, INK, LEGEND_ROW_POINTS, STYLE
from lab.evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from matplotlib.axes import Axes

    from lab.results import Run

_FEW_WORKLOADS, _FEW_TARGETS = 12, 5
_WIDE = 100  # a ratio of what an axis shows, above which it has room for powers of ten alone
_MILESTONES = {"first-instruction": "o", "ready": "s", "userspace": "D"}


def startup(run: Run) -> Figure:
    """Seconds from the request to each milestone, by target, on a logarithmic scale."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.5 + 0.62 * max(1, len(_targets(run, "startup")))))
        _startup(figure.subplots(), run)
        return drawing.finished(figure, run)


def footprint(run: Run) -> Figure:
    """Bytes on disk: the image as shipped, as it lies there, and what one more instance adds."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 1.7 + 0.42 * max(1, len(_targets(run, "footprint")))))
        metrics = {
            "image-compressed": "image, as shipped",
            "image-on-disk": "image, on disk",
            "instance-disk": "one more instance",
        }
        axes = figure.subplots(1, 3, sharey=True)
        for axis, (metric, title) in zip(axes, metrics.items(), strict=True):
            _bars(axis, run, metric, title)
        return drawing.finished(figure, run)


def density(run: Run) -> Figure:
    """Start latency, and the host's memory taken, against how many instances were running."""
    with mpl.rc_context(STYLE):
        rows = len(list(_density(run, "start-latency")))
        figure = Figure(figsize=(8.6, 3.9 + rows * LEGEND_ROW_POINTS / 72))
        left, right = figure.subplots(1, 2)
        _latencies(left, run)
        _memory(right, run)
        return drawing.finished(figure, run)


def near_native(run: Run) -> Figure:
    """Time of each workload against native, paired by round."""
    with mpl.rc_context(STYLE):
        workloads = _metrics(run, "performance")
        figure = Figure(figsize=(8.6, 1.7 + 0.5 * max(1, len(workloads))))
        _near_native(figure.subplots(), run)
        return drawing.finished(figure, run)


def overview(run: Run) -> Figure:
    """All of it on one picture: startup, memory, near-native."""
    with mpl.rc_context(STYLE):
        starts = 1.4 + 0.4 * max(2, len(_targets(run, "startup")))
        memory = 3.2 + len(list(_density(run, "memory-available"))) * LEGEND_ROW_POINTS / 72
        is_full = len(_metrics(run, "performance")) > _FEW_WORKLOADS
        figure = Figure(figsize=(15 if is_full else 11.5, starts + memory + FOOT_INCHES))
        grid = figure.add_gridspec(2, 2, height_ratios=(starts, memory), width_ratios=(1.12, 1))
        _startup(figure.add_subplot(grid[0, 0]), run)
        _memory(figure.add_subplot(grid[1, 0]), run)
        _near_native(figure.add_subplot(grid[:, 1]), run)
        return drawing.finished(figure, run)


def _startup(axis: Axes, run: Run) -> None:
    """One row a target: raw points pale, the median and its interval on top."""
    axis.set_xscale("log")
    axis.grid(visible=False, axis="y")
    measured = {
        (m.target, m.metric): m
        for m in summary.measurements(run)
        if m.experiment == "startup" and m.metric in _MILESTONES and m.n
    }
    targets = _targets(run, "startup")
    for row, target in enumerate(targets):
        there = [metric for metric in _MILESTONES if (target, metric) in measured]
        for place, metric in enumerate(there):
            y = row + 0.26 * (place - (len(there) - 1) / 2)
            _estimate(
                axis, measured[target, metric], y, drawing.colour(target), _MILESTONES[metric]
            )
    drawing.rows(axis, [_with_n(run, "startup", target) for target in targets])
    if not measured:
        drawing.say_empty(axis, run, "startup")
    axis.xaxis.set_major_formatter(FuncFormatter(drawing.tick("second")))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("time since the request (log scale)")
    present = {metric for _, metric in measured}
    drawing.titled(
        axis,
        "How fast each starts",
        [
            drawing.mark(marker, INK, f"until {metric}")
            for metric, marker in _MILESTONES.items()
            if metric in present
        ],
    )


def _estimate(
    axis: Axes, measured: summary.Measurement, y: float, colour: str, marker: str
) -> None:
    axis.plot(
        measured.samples, [y] * len(measured.samples),
        linestyle="none", marker=marker, markersize=4, color=colour, alpha=0.22, markeredgewidth=0,
    )  # fmt: skip
    if measured.median is None:
        return
    if measured.low is not None and measured.high is not None:
        axis.plot([measured.low, measured.high], [y, y], color=colour, linewidth=2.2)
    axis.plot(
        [measured.median], [y],
        marker=marker, markersize=6, color=colour, markeredgecolor="white", markeredgewidth=0.8,
    )  # fmt: skip


def _bars(axis: Axes, run: Run, metric: str, title: str) -> None:
    axis.set_title(title, fontsize=10)
    axis.grid(visible=False, axis="y")
    targets = _targets(run, "footprint")
    measured = {
        m.target: m
        for m in summary.measurements(run)
        if (m.experiment, m.metric) == ("footprint", metric) and m.median is not None
    }
    largest = max((m.median or 0.0 for m in measured.values()), default=0.0)
    scale = units.scale_for(largest, "byte")
    for row, target in enumerate(targets):
        if target not in measured:
            continue
        found = measured[target]
        value = (found.median or 0.0) / scale.size
        axis.barh(row, value, height=0.6, color=drawing.colour(target))
        if found.low is not None and found.high is not None and found.low < found.high:
            axis.plot([found.low / scale.size, found.high / scale.size], [row, row], color=INK)
        text = f" {units.quantity(found.median, 'byte')}  n={found.n}"
        axis.text(value, row, text, va="center", fontsize=8)
    drawing.rows(axis, [summary.label(target, run) for target in targets])
    if not measured:
        drawing.say_empty(axis, run, "footprint")
    axis.set_xlim(0, (largest / scale.size or 1) * 1.75)
    axis.set_xlabel(scale.name)


def _latencies(axis: Axes, run: Run) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    for target, samples in _density(run, "start-latency"):
        axis.plot(
            samples["position"] + 1, samples["value"],
            linestyle="none", marker="o", markersize=3, alpha=0.45, markeredgewidth=0,
            color=drawing.colour(target), label=f"{summary.label(target, run)}, n={len(samples)}",
        )  # fmt: skip
    axis.yaxis.set_major_formatter(FuncFormatter(drawing.tick("second")))
    axis.yaxis.set_minor_formatter(NullFormatter())
    _numbered(axis, run, "What the next start takes")
    axis.set_xlabel("how many were running, this one included (log scale)")
    axis.set_ylabel("request to first instruction (log scale)")


def _memory(axis: Axes, run: Run) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    evidence = Evidence(run)
    for target, samples in _density(run, "memory-available"):
        for number, points in samples.groupby("round"):
            empty = points.loc[points["position"] == 0, "value"]
            some = points[points["position"] > 0]
            if empty.empty or some.empty:
                continue
            taken = float(empty.iloc[0]) - some["value"]
            name = summary.label(target, run)
            if each := evidence.memory_each(target):
                size = units.quantity(each.centre, each.unit)
                name += f": {size} each [{each.interval}], {each.n}"
            above = taken > 0  # what MemAvailable's own noise swallows has no logarithm
            axis.plot(
                some.loc[above, "position"], taken[above],
                marker="o", markersize=3.5, linewidth=1, color=drawing.colour(target),
                label=name if number == samples["round"].iloc[0] else None,
            )  # fmt: skip
    axis.yaxis.set_major_locator(LogLocator(base=2, numticks=9))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(drawing.tick("byte")))
    axis.yaxis.set_minor_formatter(NullFormatter())
    _numbered(axis, run, "What each takes of the host's memory")
    axis.set_xlabel("instances running (log scale)")
    axis.set_ylabel("fall of MemAvailable (log scale)")


def _numbered(axis: Axes, run: Run, title: str) -> None:
    """Whole numbers along a density axis; title, and a line for each target."""
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    handles, labels = axis.get_legend_handles_labels()
    if not handles:
        drawing.say_empty(axis, run, "density")
    colours = [handle.get_color() for handle in handles if isinstance(handle, Line2D)]
    marks = [
        drawing.mark("o", str(colour), label) for colour, label in zip(colours, labels, strict=True)
    ]
    drawing.titled(axis, title, marks, columns=1)


def _near_native(axis: Axes, run: Run) -> None:
    axis.set_xscale("log")
    axis.grid(visible=False, axis="y")
    workloads = _metrics(run, "performance")
    ratios = [
        ratio
        for ratio in summary.ratios(run)
        if ratio.experiment == "performance"
        and ratio.baseline == "native"
        and ratio.metric in workloads
    ]
    targets = [name for name in _targets(run, "performance") if name in {r.target for r in ratios}]
    markers = dict(zip(targets, "osD^vPX*<>" * 3, strict=False))
    for ratio in ratios:
        place = targets.index(ratio.target) - (len(targets) - 1) / 2
        y = workloads.index(ratio.metric) + place * min(0.16, 0.7 / max(1, len(targets)))
        colour = drawing.colour(ratio.target)
        if ratio.low is not None and ratio.high is not None:
            axis.plot([ratio.low, ratio.high], [y, y], color=colour, linewidth=1.8, alpha=0.75)
        axis.plot(
            [ratio.ratio], [y],
            marker=markers[ratio.target], markersize=5.5, color=colour, markeredgecolor="white",
            markeredgewidth=0.7,
        )  # fmt: skip
    axis.axvline(1.0, color=FAINT, linewidth=1.2, zorder=0)
    drawing.rows(axis, workloads)
    if not ratios:
        drawing.say_empty(axis, run, "performance")
    low, high = axis.get_xlim()
    narrow = MaxNLocator(nbins=6, steps=[1, 2, 5, 10])
    subs = (1.0,) if high / low > _WIDE else (1.0, 2.0, 5.0)
    axis.xaxis.set_major_locator(LogLocator(subs=subs) if high / low > 4 else narrow)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ×"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("time / time natively in the same round (log scale), right is slower")
    n = {ratio.target: ratio.n for ratio in ratios}
    drawing.titled(
        axis,
        "How near to native",
        [
            drawing.mark(
                marker, drawing.colour(target), f"{summary.label(target, run)}, n={n[target]}"
            )
            for target, marker in markers.items()
        ],
        columns=2 if len(targets) > _FEW_TARGETS else 3,
    )


def _with_n(run: Run, experiment: str, target: str) -> str:
    found = [
        m for m in summary.measurements(run) if (m.experiment, m.target) == (experiment, target)
    ]
    n, failed = max(m.n for m in found), max(m.censored for m in found)
    return f"{summary.label(target, run)}\nn={n}" + (f", {failed} failed" if failed else "")


def _targets(run: Run, experiment: str) -> list[str]:
    samples = run.samples
    found = samples.loc[samples["experiment"] == experiment, "target"].unique()
    order = [*COLOURS]
    return sorted(map(str, found), key=lambda name: order.index(name) if name in order else 99)


def _metrics(run: Run, experiment: str) -> list[str]:
    samples = run.samples
    found = samples.loc[samples["experiment"] == experiment, "metric"].unique()
    figures = summary.figures_of_workloads(run)
    return [str(name) for name in found if not summary.is_beside(experiment, str(name), figures)]


def _density(run: Run, metric: str) -> Iterator[tuple[str, pd.DataFrame]]:
    samples = run.samples
    chosen = samples[
        (samples["experiment"] == "density")
        & (samples["metric"] == metric)
        & samples["value"].notna()
    ]
    for target, points in chosen.groupby("target", sort=False):
        yield str(target), points
