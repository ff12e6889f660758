"""Pictures of the steps of a start, and of many starts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lab import units
from lab.analysis import summary
from lab.metrics import STEP, STEP_BEGIN
from lab.report import style
from lab.report.style import FAINT, INK, STYLE, Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from lab.results.run_folder import Run

_BEGIN, _STEP = STEP_BEGIN.prefix, STEP.prefix
_COLUMNS = 3  # of a legend
_NO_TIME_SECONDS = 1e-9  # the clock's resolution, for steps that all took less
# A hue for each step; shades of a single hue would suggest an order of magnitude.
_STEP_COLOURS = ("#0f766e", "#0ea5e9", "#7c3aed", "#b91c1c", "#ea8a0c", "#4d7c0f", "#64748b",
                 "#be185d", "#1d4ed8")  # fmt: skip


def waterfall(run: Run) -> Picture:
    """Draw the steps of a start below each other, each from its median begin to its median end."""
    with mpl.rc_context(STYLE):
        charts = {name: steps for name in _targets(run) if (steps := _steps(run, name))}
        tallest = [len(steps) for steps in charts.values()] or [2]
        height = 1.4 + sum(0.55 + 0.27 * count for count in tallest)
        figure = Picture(figsize=(8.6, height))
        axes = figure.subplots(
            len(tallest), 1, squeeze=False, height_ratios=[count + 1.6 for count in tallest]
        )[:, 0]
        figure.suptitle("Steps of a start", x=0.008, ha="left", fontsize=11.5, fontweight="bold")
        for axis, (target, steps) in zip(axes, charts.items(), strict=False):
            _waterfall(axis, run, target, steps)
        if not charts:
            style.explain_empty(axes[0], run, "startup")
        values = [
            f"{_label(run, 'startup', target, _STEP)}: "
            + ", ".join(f"{step} {units.quantity(length, 'second')}" for step, _, length in steps)
            for target, steps in charts.items()
        ]
        return style.finish(
            figure,
            run,
            style.description("Steps of a start", values),
            "bar: a step, from its median begin, with its median duration",
        )


def burst(run: Run) -> Picture:
    """Draw the latency and the rate of starts over the number that was requested at once."""
    with mpl.rc_context(STYLE):
        targets = _burst_targets(run)
        rows = -(-len(targets) // _COLUMNS)
        figure = Picture(figsize=(8.6, 3.6 + 0.2 * rows))
        left, right = figure.subplots(1, 2)
        for axis in (left, right):
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.set_xlabel("requested at once (log scale)")
        for target in targets:
            colour = style.colour(target)
            middle = _curve(run, target, "latency-p50")
            tail = _curve(run, target, "latency-p95")
            style.draw_band(left, middle, tail, colour)
            rate = _curve(run, target, "started-per-second")
            at, each = style.positive_points(rate.index, rate)
            right.plot(at, each, marker="o", markersize=4, color=colour)
        for axis in (left, right):
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        style.set_log_ticks(left.yaxis, style.tick_formatter("second"))
        style.set_log_ticks(right.yaxis, lambda value, _: f"{value:g} /s")
        if not targets:
            style.explain_empty(left, run, "burst")
        left.set_title("Many at once: first instruction")
        right.set_title("… and starts per second")
        if marks := [
            style.legend_entry("o", style.colour(name), _label(run, "burst", name))
            for name in targets
        ]:
            figure.legend(
                handles=marks, loc="outside upper left", ncols=_COLUMNS, fontsize=8.5,
                handletextpad=0.1, columnspacing=1.0,
            )  # fmt: skip
        return style.finish(
            figure,
            run,
            _burst_description(run, targets),
            "line: median · shade: up to the 95th percentile",
        )


def _burst_description(run: Run, targets: Sequence[str]) -> str:
    values = []
    for target in targets:
        middle = _curve(run, target, "latency-p50").dropna()
        if len(middle):
            most, latency = middle.index[-1], units.quantity(float(middle.iloc[-1]), "second")
            values.append(f"{summary.label(target, run)}: half of {most} after {latency}")
    return style.description("Many at once, until the first instruction", values)


def _waterfall(
    axis: Axes, run: Run, target: str, steps: Sequence[tuple[str, float, float]]
) -> None:
    total = max(begin + length for _, begin, length in steps) or _NO_TIME_SECONDS
    scale = units.scale_for(total, "second")
    for row, (step, begin, length) in enumerate(steps):
        left, width = begin / scale.size, length / scale.size
        hue = _STEP_COLOURS[row % len(_STEP_COLOURS)]
        axis.barh(row, width, left=left, height=0.72, color=hue)
        text = f"{style.plain(step)}  {units.quantity(length, 'second')}"
        # In the bar if it is long enough, else on the side of it that has room.
        end, whole = left + width, total / scale.size
        if width > 0.45 * whole:
            at, align, ink = end, "right", "white"
        elif end < 0.6 * whole:
            at, align, ink = end, "left", INK
        else:
            at, align, ink = left, "right", INK
        axis.text(at, row, f" {text} ", va="center", ha=align, fontsize=8, color=ink)
    axis.set_ylim(len(steps) - 0.4, -0.6)
    axis.set_yticks([])
    axis.set_xlim(0, 1.02 * total / scale.size)
    axis.grid(visible=False, axis="y")
    axis.spines["left"].set_visible(False)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=7))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} {scale.name}"))
    axis.tick_params(axis="x", labelsize=7.5, labelcolor=FAINT)
    axis.set_title(
        _label(run, "startup", target, _STEP), fontsize=9.5, pad=3, color=style.colour(target)
    )


def _steps(run: Run, target: str) -> list[tuple[str, float, float]]:
    """Return the steps in order: name, median begin, median length, in seconds."""
    samples = run.samples
    ours = samples[(samples["experiment"] == "startup") & (samples["target"] == target)]
    medians = ours.groupby("metric", sort=False)["value"].median()
    steps = [
        (name.removeprefix(_STEP), float(medians[_BEGIN + name.removeprefix(_STEP)]), float(length))
        for name, length in medians.dropna().items()
        if isinstance(name, str) and name.startswith(_STEP)
    ]
    return sorted(steps, key=lambda step: step[1])


def _targets(run: Run) -> list[str]:
    """Return the targets with steps. A native start is a single step and is left out."""
    measured = set(run.samples.loc[run.samples["experiment"] == "startup", "target"])
    return style.in_order(measured - {"native"})


def _burst_targets(run: Run) -> list[str]:
    samples = run.samples[run.samples["experiment"] == "burst"]
    return [str(name) for name in samples.dropna(subset=["value"])["target"].unique()]


def _curve(run: Run, target: str, metric: str) -> pd.Series[float]:
    """Return the median over rounds at each count."""
    samples = run.samples
    chosen = samples[
        (samples["experiment"] == "burst")
        & (samples["target"] == target)
        & (samples["metric"] == metric)
    ]
    return chosen.groupby("position")["value"].median()


def _label(run: Run, experiment: str, target: str, prefix: str = "") -> str:
    """Return the target's name with the number of rounds that have such a metric."""
    samples = run.samples
    ours = (samples["target"] == target) & (samples["experiment"] == experiment)
    ours &= samples["metric"].str.startswith(prefix) & samples["value"].notna()
    name = style.plain(summary.label(target, run))
    return f"{name}, n={samples.loc[ours, 'round'].nunique()}"
