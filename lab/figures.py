"""The run as pictures: raw points, the median, its 95 % interval, and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from lab import provenance, summary, units
from lab.evidence import Evidence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from lab.results import Run

INK, FAINT = "#1f2937", "#6b7280"
# Grey is native, cool colours are containers, warm ones machines.
_COLOURS = {
    "native": FAINT,
    "container": "#0f766e",
    "crun": "#0ea5e9",
    "runc": "#1d4ed8",
    "podman": "#7c3aed",
    "docker": "#4d7c0f",
    "vm": "#b91c1c",
    "microvm": "#ea8a0c",
    "vm-restore": "#9d174d",
    "microvm-restore": "#d97706",
    "qemu": "#f87171",
    "qemu-microvm": "#fbbf24",
}
_LEGEND_ROW_POINTS = 13
_FOOT_INCHES = 0.42
_STYLE: dict[Any, Any] = {
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
_MILESTONES = {"first-instruction": "o", "ready": "s", "userspace": "D"}


def startup(run: Run) -> Figure:
    """Seconds from the request to each milestone, by target, on a logarithmic scale."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.6, 1.5 + 0.62 * max(1, len(_targets(run, "startup")))))
        _startup(figure.subplots(), run)
        return _finished(figure, run)


def footprint(run: Run) -> Figure:
    """Bytes on disk: the image as shipped, as it lies there, and what one more instance adds."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.6, 1.7 + 0.42 * max(1, len(_targets(run, "footprint")))))
        metrics = {
            "image-compressed": "image, as shipped",
            "image-on-disk": "image, on disk",
            "instance-disk": "one more instance",
        }
        axes = figure.subplots(1, 3, sharey=True)
        for axis, (metric, title) in zip(axes, metrics.items(), strict=True):
            _bars(axis, run, metric, title)
        return _finished(figure, run)


def density(run: Run) -> Figure:
    """Start latency, and the host's memory taken, against how many instances were running."""
    with mpl.rc_context(_STYLE):
        rows = len(list(_density(run, "start-latency")))
        figure = Figure(figsize=(8.6, 3.9 + rows * _LEGEND_ROW_POINTS / 72))
        left, right = figure.subplots(1, 2)
        _latencies(left, run)
        _memory(right, run)
        return _finished(figure, run)


def near_native(run: Run) -> Figure:
    """Time of each workload against native, paired by round."""
    with mpl.rc_context(_STYLE):
        workloads = _metrics(run, "performance")
        figure = Figure(figsize=(8.6, 1.7 + 0.5 * max(1, len(workloads))))
        _near_native(figure.subplots(), run)
        return _finished(figure, run)


def overview(run: Run) -> Figure:
    """All of it on one picture: startup, memory, near-native."""
    with mpl.rc_context(_STYLE):
        starts = 1.4 + 0.4 * max(2, len(_targets(run, "startup")))
        memory = 3.2 + len(list(_density(run, "memory-available"))) * _LEGEND_ROW_POINTS / 72
        figure = Figure(figsize=(11.5, starts + memory + _FOOT_INCHES))
        grid = figure.add_gridspec(2, 2, height_ratios=(starts, memory), width_ratios=(1.12, 1))
        _startup(figure.add_subplot(grid[0, 0]), run)
        _memory(figure.add_subplot(grid[1, 0]), run)
        _near_native(figure.add_subplot(grid[:, 1]), run)
        return _finished(figure, run)


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
            _estimate(axis, measured[target, metric], y, _colour(target), _MILESTONES[metric])
    _rows(axis, [_with_n(run, "startup", target) for target in targets])
    _empty(axis, bool(measured), run, "startup")
    axis.xaxis.set_major_formatter(FuncFormatter(_tick("second")))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("time since the request (log scale)")
    present = {metric for _, metric in measured}
    _titled(
        axis,
        "How fast each starts",
        [
            _mark(marker, INK, f"until {metric}")
            for metric, marker in _MILESTONES.items()
            if metric in present
        ],
    )


def _estimate(
    axis: Axes, measured: summary.Measurement, y: float, colour: str, marker: str
) -> None:
    axis.plot(
        measured.samples, [y] * measured.n,
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
        if m.metric == metric and m.median is not None
    }
    largest = max((m.median or 0.0 for m in measured.values()), default=0.0)
    scale = units.scale_for(largest, "byte")
    for row, target in enumerate(targets):
        if target not in measured:
            continue
        found = measured[target]
        value = (found.median or 0.0) / scale.size
        axis.barh(row, value, height=0.6, color=_colour(target))
        if found.low is not None and found.high is not None and found.low < found.high:
            axis.plot([found.low / scale.size, found.high / scale.size], [row, row], color=INK)
        text = f" {units.quantity(found.median, 'byte')}  n={found.n}"
        axis.text(value, row, text, va="center", fontsize=8)
    _rows(axis, [summary.label(target, run) for target in targets])
    _empty(axis, bool(measured), run, "footprint")
    axis.set_xlim(0, (largest / scale.size or 1) * 1.75)
    axis.set_xlabel(scale.name)


def _latencies(axis: Axes, run: Run) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    for target, samples in _density(run, "start-latency"):
        axis.plot(
            samples["position"] + 1, samples["value"],
            linestyle="none", marker="o", markersize=3, alpha=0.45, markeredgewidth=0,
            color=_colour(target), label=f"{summary.label(target, run)}, n={len(samples)}",
        )  # fmt: skip
    axis.yaxis.set_major_formatter(FuncFormatter(_tick("second")))
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
                marker="o", markersize=3.5, linewidth=1, color=_colour(target),
                label=name if number == samples["round"].iloc[0] else None,
            )  # fmt: skip
    axis.yaxis.set_major_locator(LogLocator(base=2, numticks=9))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(_tick("byte")))
    axis.yaxis.set_minor_formatter(NullFormatter())
    _numbered(axis, run, "What each takes of the host's memory")
    axis.set_xlabel("instances running (log scale)")
    axis.set_ylabel("fall of MemAvailable (log scale)")


def _numbered(axis: Axes, run: Run, title: str) -> None:
    """Whole numbers along a density axis; title, and a line for each target."""
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    handles, labels = axis.get_legend_handles_labels()
    _empty(axis, bool(handles), run, "density")
    colours = [handle.get_color() for handle in handles if isinstance(handle, Line2D)]
    marks = [_mark("o", str(colour), label) for colour, label in zip(colours, labels, strict=True)]
    _titled(axis, title, marks, columns=1)


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
        colour = _colour(ratio.target)
        if ratio.low is not None and ratio.high is not None:
            axis.plot([ratio.low, ratio.high], [y, y], color=colour, linewidth=1.8, alpha=0.75)
        axis.plot(
            [ratio.ratio], [y],
            marker=markers[ratio.target], markersize=5.5, color=colour, markeredgecolor="white",
            markeredgewidth=0.7,
        )  # fmt: skip
    axis.axvline(1.0, color=FAINT, linewidth=1.2, zorder=0)
    _rows(axis, workloads)
    _empty(axis, bool(ratios), run, "performance")
    low, high = axis.get_xlim()
    narrow = MaxNLocator(nbins=6, steps=[1, 2, 5, 10])
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)) if high / low > 4 else narrow)
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ×"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("time / time natively in the same round (log scale), right is slower")
    n = {ratio.target: ratio.n for ratio in ratios}
    _titled(
        axis,
        "How near to native",
        [
            _mark(marker, _colour(target), f"{summary.label(target, run)}, n={n[target]}")
            for target, marker in markers.items()
        ],
    )


def _titled(axis: Axes, title: str, marks: list[Line2D], columns: int = 3) -> None:
    """The title with what the marks mean under it."""
    rows = -(-len(marks) // columns)
    axis.set_title(title, pad=8 + rows * _LEGEND_ROW_POINTS)
    if marks:
        axis.legend(
            handles=marks, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns, fontsize=8.5,
            handletextpad=0.1, columnspacing=1.0, borderpad=0, borderaxespad=0.3,
        )  # fmt: skip


def _mark(marker: str, colour: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, linestyle="none", markersize=5, label=label)


def _finished(figure: Figure, run: Run) -> Figure:
    """Lay it out and say underneath where it was measured: no picture goes without."""
    foot = _FOOT_INCHES / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0, foot, 1, 1 - foot))
    figure.text(
        0.008, foot * 0.15,
        f"{provenance.line(run)}\nmark: median · bar: 95 % interval · pale: raw samples",
        fontsize=7.2, color=FAINT, va="bottom",
    )  # fmt: skip
    return figure


def _rows(axis: Axes, names: Sequence[str]) -> None:
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)


def _empty(axis: Axes, drawn: bool, run: Run, experiment: str) -> None:
    """Say so where there is nothing to draw."""
    if drawn:
        return
    measured = experiment in run.settings.get("experiments", ())
    text = f"no finished round of {experiment}" if measured else f"{experiment} was not measured"
    axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", color="#9ca3af")


def _tick(unit: str) -> Callable[[float, object], str]:
    def shown(value: float, _: object) -> str:
        scale = units.scale_for(value, unit)
        return f"{value / scale.size:g} {scale.name}"

    return shown


def _colour(target: str) -> str:
    return _COLOURS.get(target, INK)


def _with_n(run: Run, experiment: str, target: str) -> str:
    found = [
        m for m in summary.measurements(run) if (m.experiment, m.target) == (experiment, target)
    ]
    n, failed = max(m.n for m in found), max(m.censored for m in found)
    return f"{summary.label(target, run)}\nn={n}" + (f", {failed} failed" if failed else "")


def _targets(run: Run, experiment: str) -> list[str]:
    samples = run.samples
    found = samples.loc[samples["experiment"] == experiment, "target"].unique()
    order = [*_COLOURS]
    return sorted(map(str, found), key=lambda name: order.index(name) if name in order else 99)


def _metrics(run: Run, experiment: str) -> list[str]:
    samples = run.samples
    found = samples.loc[samples["experiment"] == experiment, "metric"].unique()
    return [str(metric) for metric in found if not summary.is_beside(str(metric))]


def _density(run: Run, metric: str) -> Iterator[tuple[str, pd.DataFrame]]:
    samples = run.samples
    chosen = samples[
        (samples["experiment"] == "density")
        & (samples["metric"] == metric)
        & samples["value"].notna()
    ]
    for target, points in chosen.groupby("target", sort=False):
        yield str(target), points
