"""Pictures of start times, disk space, memory and speed, and all of them in an overview."""

from __future__ import annotations

import itertools
from statistics import median
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from lab import units
from lab.analysis import summary
from lab.claims.evidence import Evidence
from lab.report import style
from lab.report.style import FAINT, FOOT_INCHES, INK, LEGEND_ROW_POINTS, STYLE, Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd
    from matplotlib.axes import Axes

    from lab.claims.evidence import Figure as ClaimFigure
    from lab.results.run_folder import Run

_FEW_WORKLOADS = 12
_LINE_STEPS = 60
_LEAST_SHOWN = 2.0**10  # bytes of MemAvailable; a smaller decrease is noise
_DENSITY_MARKS = style.MARKS + " · line: fitted slope"
_MARKERS = {"first-instruction": "o", "ready": "s", "userspace": "D"}


def startup(run: Run) -> Picture:
    """Draw the time from the request to each milestone by target, on a logarithmic scale."""
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(8.6, 1.5 + 0.62 * max(1, len(_targets(run, "startup")))))
        _startup(figure.subplots(), run)
        return style.finish(figure, run, _startup_description(run))


def footprint(run: Run) -> Picture:
    """Draw the bytes of the image as shipped and on disk, and of one more instance."""
    with mpl.rc_context(STYLE):
        figure = Picture(figsize=(8.6, 1.7 + 0.42 * max(1, len(_targets(run, "footprint")))))
        metrics = {
            "image-compressed": "image, as shipped",
            "image-on-disk": "image, on disk",
            "instance-disk": "one more instance",
        }
        axes = figure.subplots(1, 3, sharey=True)
        for axis, (metric, title) in zip(axes, metrics.items(), strict=True):
            _bars(axis, run, metric, title)
        values = _values(run, "footprint", metrics)
        return style.finish(figure, run, style.description("Bytes on disk", values))


def density(run: Run) -> Picture:
    """Draw start latency and used memory of the host over the number of instances."""
    with mpl.rc_context(STYLE):
        rows = len(list(_density(run, "start-latency")))
        figure = Picture(figsize=(8.6, 7.4 + 2 * rows * LEGEND_ROW_POINTS / 72))
        upper, lower = figure.subplots(2, 1)
        _latencies(upper, run)
        _memory(lower, run)
        return style.finish(figure, run, _memory_description(run), _DENSITY_MARKS)


def near_native(run: Run) -> Picture:
    """Draw the time of each workload relative to native, paired by round."""
    with mpl.rc_context(STYLE):
        workloads = _metrics(run, "performance")
        figure = Picture(figsize=(8.6, 1.7 + 0.5 * max(1, len(workloads))))
        _near_native(figure.subplots(), run)
        return style.finish(figure, run, _near_native_description(run))


def overview(run: Run) -> Picture:
    """Draw start times, memory and relative time in a single picture, as far as measured."""
    with mpl.rc_context(STYLE):
        starts = 1.4 + 0.4 * max(2, len(_targets(run, "startup")))
        memory = 3.2 + len(list(_density(run, "memory-available"))) * LEGEND_ROW_POINTS / 72
        workloads = _metrics(run, "performance")
        left: list[tuple[float, Callable[[Axes, Run], None], Callable[[Run], str]]] = []
        if _targets(run, "startup") or not (workloads or _targets(run, "density")):
            left.append((starts, _startup, _startup_description))
        if _targets(run, "density"):
            left.append((memory, _memory, _memory_description))
        heights = [height for height, _, _ in left] or [1.7 + 0.5 * len(workloads)]
        columns = bool(left) + bool(workloads)
        width = 8.6 if columns == 1 else 15 if len(workloads) > _FEW_WORKLOADS else 11.5
        figure = Picture(figsize=(width, sum(heights) + FOOT_INCHES))
        grid = figure.add_gridspec(
            len(heights), columns, height_ratios=heights, width_ratios=(1.12, 1)[-columns:]
        )
        for row, (_, draw, _) in enumerate(left):
            draw(figure.add_subplot(grid[row, 0]), run)
        if workloads:
            _near_native(figure.add_subplot(grid[:, -1]), run)
        texts = [describe(run) for _, _, describe in left]
        texts += [_near_native_description(run)] * bool(workloads)
        return style.finish(figure, run, " ".join(texts), _DENSITY_MARKS)


def _startup(axis: Axes, run: Run) -> None:
    """Draw a row per target: pale raw points, with the median and its interval on top."""
    axis.set_xscale("log")
    axis.grid(visible=False, axis="y")
    measured = {
        (m.target, m.metric): m
        for m in summary.measurements(run)
        if m.experiment == "startup" and m.metric in _MARKERS and m.n
    }
    targets = _targets(run, "startup")
    for row, target in enumerate(targets):
        drawn = [metric for metric in _MARKERS if (target, metric) in measured]
        for place, metric in enumerate(drawn):
            y = row + 0.26 * (place - (len(drawn) - 1) / 2)
            _estimate(axis, measured[target, metric], y, style.colour(target), _MARKERS[metric])
    style.label_rows(axis, [_with_n(run, "startup", target) for target in targets])
    if not measured:
        style.explain_empty(axis, run, "startup")
    style.set_log_ticks(axis.xaxis, style.tick_formatter("second"))
    axis.set_xlabel("time since the request (log scale)")
    shown = {metric for _, metric in measured}
    style.set_title(
        axis,
        "Start times",
        [
            style.legend_entry(marker, INK, f"until {metric}")
            for metric, marker in _MARKERS.items()
            if metric in shown
        ],
    )


def _estimate(
    axis: Axes, measured: summary.Measurement, y: float, colour: str, marker: str
) -> None:
    samples = [value for value in measured.samples if value > 0]
    axis.plot(
        samples, [y] * len(samples),
        linestyle="none", marker=marker, markersize=4, color=colour, alpha=0.22, markeredgewidth=0,
    )  # fmt: skip
    if measured.median is None or measured.median <= 0:
        return
    if measured.low is not None and measured.high is not None and measured.low > 0:
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
    largest = max((max(m.median or 0.0, m.high or 0.0) for m in measured.values()), default=0.0)
    scale = units.scale_for(largest, "byte")
    for row, target in enumerate(targets):
        if target not in measured:
            continue
        figure = measured[target]
        value = end = max(0.0, figure.median or 0.0) / scale.size
        axis.barh(row, value, height=0.6, color=style.colour(target))
        if figure.low is not None and figure.high is not None and figure.low < figure.high:
            low, end = max(0.0, figure.low) / scale.size, figure.high / scale.size
            axis.plot([low, end], [row, row], color=INK)
        text = f" {units.quantity(figure.median, 'byte')}  n={figure.n}"
        axis.text(end, row, text, va="center", fontsize=8)
    style.label_rows(axis, [style.plain(summary.label(target, run)) for target in targets])
    if not measured:
        style.explain_empty(axis, run, "footprint")
    axis.set_xlim(0, (largest / scale.size or 1) * 1.85)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=3))
    axis.set_xlabel(scale.name)


def _latencies(axis: Axes, run: Run) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    for target, samples in _density(run, "start-latency"):
        name = style.plain(summary.label(target, run))
        axis.plot(
            *style.positive_points(samples["position"] + 1, samples["value"]),
            linestyle="none", marker="o", markersize=3, alpha=0.45, markeredgewidth=0,
            color=style.colour(target), label=f"{name}, n={len(samples)}",
        )  # fmt: skip
    _numbered(axis, run, "Latency of the next start", columns=2)
    style.set_log_ticks(axis.yaxis, style.tick_formatter("second"))
    axis.set_xlabel("instances running, including this one (log scale)")
    axis.set_ylabel("request to first\ninstruction (log scale)")


def _memory(axis: Axes, run: Run) -> None:
    """Draw the pale points of every round, and a line with the slope of all of them."""
    axis.set_xscale("log")
    axis.set_yscale("log")
    for target, (counts, decreases), slope in _decreases(run):
        colour = style.colour(target)
        visible = [each if each >= _LEAST_SHOWN else 0.0 for each in decreases]
        axis.plot(
            *style.positive_points(counts, visible),
            linestyle="none", marker="o", markersize=4, color=colour, alpha=0.45, markeredgewidth=0,
        )  # fmt: skip
        line = style.positive_points(*_fitted(counts, decreases, slope.centre))
        axis.plot(*line, linewidth=1.6, color=colour, label=_each(run, target, slope))
    axis.yaxis.set_major_locator(LogLocator(base=2, numticks=9))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(style.tick_formatter("byte")))
    axis.yaxis.set_minor_formatter(NullFormatter())
    _numbered(axis, run, "Memory per instance", columns=1)
    axis.set_xlabel("instances running (log scale)")
    axis.set_ylabel("decrease of MemAvailable\n(log scale)")


def _decreases(run: Run) -> Iterator[tuple[str, tuple[list[float], list[float]], ClaimFigure]]:
    """Yield each target with its counts, the decrease of MemAvailable at each, and the slope."""
    evidence = Evidence(run)
    for target, samples in _density(run, "memory-available"):
        counts: list[float] = []
        decreases: list[float] = []
        for _, points in samples.groupby("round"):
            empty = points.loc[points["position"] == 0, "value"]
            some = points[points["position"] > 0]
            if len(empty):
                counts += some["position"].tolist()
                decreases += [float(empty.iloc[0]) - value for value in some["value"]]
        slope = evidence.memory_each(target)
        if counts and slope:
            yield target, (counts, decreases), slope


def _fitted(
    counts: list[float], decreases: list[float], slope: float
) -> tuple[list[float], list[float]]:
    """Return a line of that slope through the middle of the points, fine enough for a log scale."""
    begin = median(fall - slope * count for count, fall in zip(counts, decreases, strict=True))
    low, high = min(counts), max(counts)
    along = [low * (high / low) ** (step / _LINE_STEPS) for step in range(_LINE_STEPS + 1)]
    fitted = [begin + slope * count for count in along]
    # The line is cut off where noise dominates the first points, which a log scale magnifies.
    return along, [
        fall if fall > slope * count / 4 else 0.0 for fall, count in zip(fitted, along, strict=True)
    ]


def _each(run: Run, target: str, slope: ClaimFigure) -> str:
    name, size = summary.label(target, run), units.quantity(slope.centre, slope.unit)
    return f"{style.plain(name)}: {size} each [{slope.interval}], {slope.n}"


def _memory_description(run: Run) -> str:
    values = [_each(run, target, slope) for target, _, slope in _decreases(run)]
    return style.description("Memory per instance", values)


def _numbered(axis: Axes, run: Run, title: str, columns: int) -> None:
    """Set integer ticks on the axis of counts, the title, and a legend entry per target."""
    style.set_log_ticks(axis.xaxis, lambda value, _: f"{value:,.0f}")
    handles, labels = axis.get_legend_handles_labels()
    if not handles:
        style.explain_empty(axis, run, "density")
    colours = [handle.get_color() for handle in handles if isinstance(handle, Line2D)]
    marks = [
        style.legend_entry("o", str(colour), label)
        for colour, label in zip(colours, labels, strict=True)
    ]
    style.set_title(axis, title, marks, columns=columns)


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
    markers = dict(zip(targets, itertools.cycle("osD^vPX*<>"), strict=False))
    for ratio in ratios:
        if ratio.ratio <= 0:
            continue
        place = targets.index(ratio.target) - (len(targets) - 1) / 2
        y = workloads.index(ratio.metric) + place * min(0.16, 0.7 / max(1, len(targets)))
        colour = style.colour(ratio.target)
        style.draw_interval(axis, ratio.low, ratio.high, y, colour)
        axis.plot(
            [ratio.ratio], [y],
            marker=markers[ratio.target], markersize=5.5, color=colour, markeredgecolor="white",
            markeredgewidth=0.7,
        )  # fmt: skip
    axis.axvline(1.0, color=FAINT, linewidth=1.2, zorder=0)
    style.label_rows(axis, list(map(style.plain, workloads)))
    if not ratios:
        style.explain_empty(axis, run, "performance")
    style.set_log_ticks(axis.xaxis, lambda value, _: f"{value:g} ×")
    axis.set_xlabel("time / native time in the same round\n(log scale), right is slower")
    n = {ratio.target: ratio.n for ratio in ratios}
    style.set_title(
        axis,
        "Time relative to native",
        [
            style.legend_entry(
                marker,
                style.colour(target),
                f"{style.plain(summary.label(target, run))}, n={n[target]}",
            )
            for target, marker in markers.items()
        ],
        columns=2,
    )


def _startup_description(run: Run) -> str:
    return style.description("Start times", _values(run, "startup", _MARKERS))


def _near_native_description(run: Run) -> str:
    evidence = Evidence(run)
    names = [name for name in _targets(run, "performance") if name != "native"]
    means = (evidence.mean_ratio(name, "native") for name in names)
    values = [f"{mean.value} [{mean.interval}]" for mean in means if mean]
    return style.description("Time relative to native", values)


def _values(run: Run, experiment: str, metrics: Iterable[str]) -> list[str]:
    """Return the medians of these metrics as text."""
    evidence = Evidence(run)
    figures = (
        evidence.measured(experiment, target, metric)
        for target in _targets(run, experiment)
        for metric in metrics
    )
    return [figure.value for figure in figures if figure]


def _with_n(run: Run, experiment: str, target: str) -> str:
    figures = [
        m for m in summary.measurements(run) if (m.experiment, m.target) == (experiment, target)
    ]
    n = max((m.n for m in figures), default=0)
    failed = max((m.censored for m in figures), default=0)
    name = style.plain(summary.label(target, run))
    return f"{name}\nn={n}" + (f", {failed} failed" if failed else "")


def _targets(run: Run, experiment: str) -> list[str]:
    samples = run.samples
    return style.in_order(
        map(str, samples.loc[samples["experiment"] == experiment, "target"].unique())
    )


def _metrics(run: Run, experiment: str) -> list[str]:
    samples = run.samples
    names = samples.loc[samples["experiment"] == experiment, "metric"].unique()
    return [str(name) for name in names if not summary.metric(run, experiment, str(name)).explains]


def _density(run: Run, metric: str) -> Iterator[tuple[str, pd.DataFrame]]:
    samples = run.samples
    chosen = samples[
        (samples["experiment"] == "density")
        & (samples["metric"] == metric)
        & samples["value"].notna()
    ]
    for target, points in chosen.groupby("target", sort=False):
        yield str(target), points
