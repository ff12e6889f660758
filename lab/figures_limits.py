"""What neighbours cost and what limits give; what an idle instance takes; how full hosts answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from lab import drawing, summary, units
from lab.drawing import FAINT, INK, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lab.results import Run

_NOISES = {
    "cpu": "busy loops",
    "memory": "copies of memory",
    "forks": "a fork bomb",
    "disk": "writes to disk",
    "network": "datagrams on one bridge",
}
_IDLE = {
    "pss": "memory:\nPSS of all its processes",
    "cgroup-memory": "memory:\nits cgroup's own figure",
    "page-cache-again": "page cache that it\ndoes not share",
    "idle-cpu": "CPU time\na second",
}
_UNITS = {"idle-cpu": "second"}


def isolation(run: Run) -> Figure:
    """A victim's time beside a noisy neighbour / alone: without a limit on it, and with one."""
    with mpl.rc_context(STYLE):
        found = _measured(run, "isolation")
        targets = drawing.ordered({target for target, _ in found})
        figure = Figure(figsize=(8.6, 1.9 + 0.62 * len(_NOISES) + 0.24 * len(targets)))
        axis = figure.subplots()
        _slowdowns(axis, run, found, targets)
        return drawing.finished(
            figure,
            run,
            "mark: median · bar: 95 % interval · hollow: the neighbour is limited to 0.5 CPUs,"
            " 256 MiB, 64 processes",
        )


def idle(run: Run) -> Figure:
    """What one idle instance takes of memory and CPU, and of page cache that it does not share."""
    with mpl.rc_context(STYLE):
        found = _measured(run, "footprint")
        targets = drawing.ordered({target for target, _ in found})
        figure = Figure(figsize=(8.6, 2.0 + 0.42 * max(1, len(targets))))
        axes = figure.subplots(1, len(_IDLE), sharey=True)
        for axis, (metric, title) in zip(axes, _IDLE.items(), strict=True):
            _bars(axis, run, found, targets, metric, title)
        return drawing.finished(figure, run, "bar: median of one idle instance")


def answers(run: Run) -> Figure:
    """How fast instances answer a request against how many there are."""
    with mpl.rc_context(STYLE):
        samples = run.samples[run.samples["experiment"] == "density"]
        targets = drawing.ordered(set(samples.loc[samples["metric"] == "answer-p50", "target"]))
        figure = Figure(figsize=(8.6, 3.2 + 0.2 * -(-len(targets) // 3)))
        axis = figure.subplots()
        axis.set_xscale("log")
        axis.set_yscale("log")
        for target in targets:
            middle, tail = (
                samples[(samples["target"] == target) & (samples["metric"] == metric)]
                .groupby("position")["value"]
                .median()
                for metric in ("answer-p50", "answer-p99")
            )
            colour = drawing.colour(target)
            axis.plot(middle.index, middle, marker="o", markersize=3.5, color=colour)
            axis.fill_between(middle.index, middle, tail, color=colour, alpha=0.15, linewidth=0)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axis.yaxis.set_major_formatter(FuncFormatter(drawing.tick("second")))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_xlabel("instances running (log scale)")
        axis.set_ylabel("request to answer (log scale)")
        if not targets:
            drawing.say_empty(axis, run, "density")
        marks = [
            drawing.mark(
                "o", drawing.colour(name), f"{summary.label(name, run)}{_loaded(run, name)}"
            )
            for name in targets
        ]
        drawing.titled(axis, "How fast a full host answers", marks, columns=2)
        return drawing.finished(
            figure, run, "line: median, n=50 a point · shade: up to the 99th percentile"
        )


def _slowdowns(
    axis: Axes, run: Run, found: dict[tuple[str, str], summary.Measurement], targets: list[str]
) -> None:
    axis.set_xscale("log")
    axis.grid(visible=False, axis="y")
    for row, noise in enumerate(_NOISES):
        for place, target in enumerate(targets):
            y = row + (place - (len(targets) - 1) / 2) * min(0.16, 0.7 / max(1, len(targets)))
            for metric, filled in ((f"beside-{noise}", True), (f"beside-{noise}-limited", False)):
                if (measured := found.get((target, metric))) and measured.median is not None:
                    colour = drawing.colour(target)
                    drawing.whisker(axis, measured.low, measured.high, y, colour)
                    axis.plot(
                        [measured.median], [y], marker="o", markersize=6, color=colour,
                        markerfacecolor=colour if filled else "white", linestyle="none",
                    )  # fmt: skip
    axis.axvline(1.0, color=FAINT, linewidth=1.2, zorder=0)
    drawing.rows(axis, list(_NOISES.values()))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ×"))
    axis.xaxis.set_minor_formatter(FuncFormatter(_few))
    axis.tick_params(axis="x", which="minor", labelsize=8)
    axis.set_xlabel("time beside the neighbour / time alone (log scale), right is slower")
    if not targets:
        drawing.say_empty(axis, run, "isolation")
    marks = [
        drawing.mark("o", drawing.colour(name), f"{summary.label(name, run)}, n={_n(found, name)}")
        for name in targets
    ]
    drawing.titled(axis, "What a noisy neighbour costs", marks)


def _bars(
    axis: Axes,
    run: Run,
    found: dict[tuple[str, str], summary.Measurement],
    targets: list[str],
    metric: str,
    title: str,
) -> None:
    axis.set_title(title, fontsize=8.5, pad=6)
    axis.grid(visible=False, axis="y")
    unit = _UNITS.get(metric, "byte")
    values = {name: found[name, metric] for name in targets if (name, metric) in found}
    largest = max((each.median or 0.0 for each in values.values()), default=0.0)
    scale = units.scale_for(largest, unit)
    for row, target in enumerate(targets):
        if target not in values or values[target].median is None:
            axis.text(0, row, " —", va="center", fontsize=8, color=FAINT)
            continue
        measured = values[target]
        value = max(0.0, measured.median or 0.0) / scale.size
        axis.barh(row, value, height=0.6, color=drawing.colour(target))
        text = f" {units.quantity(measured.median, unit)}"
        axis.text(value, row, text, va="center", fontsize=7.5, color=INK)
    drawing.rows(
        axis, [f"{summary.label(name, run)}, n={_n(found, name)}" for name in targets] or [""]
    )
    if not targets:
        drawing.say_empty(axis, run, "footprint")
    axis.set_xlim(0, (largest / scale.size or 1) * 1.9)
    axis.set_xlabel(scale.name)


def _measured(run: Run, experiment: str) -> dict[tuple[str, str], summary.Measurement]:
    return {
        (each.target, each.metric): each
        for each in summary.measurements(run)
        if each.experiment == experiment and each.median is not None
    }


def _n(found: dict[tuple[str, str], summary.Measurement], target: str) -> int:
    return max(each.n for (name, _), each in found.items() if name == target)


def _loaded(run: Run, target: str) -> str:
    """How many requests a second they answered when all were kept busy."""
    samples = run.samples
    chosen = samples[
        (samples["experiment"] == "density")
        & (samples["target"] == target)
        & (samples["metric"] == "loaded-answers")
    ]
    if chosen["value"].isna().all():
        return ""
    return f": {chosen['value'].median():,.0f} answers a second, n={len(chosen)}"


def _few(value: float, _: object) -> str:
    return f"{value:g} ×" if f"{value:e}"[0] in "1235" else ""
