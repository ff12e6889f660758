"""What neighbours cost and what limits give; what an idle instance takes; how full hosts answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ticker import MaxNLocator

from lab import units
from lab.analysis import summary
from lab.report import style
from lab.report.style import FAINT, INK, STYLE, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lab.results.run_folder import Run

_NOISES = {
    "cpu": "busy loops",
    "memory": "copies of memory",
    "forks": "a fork bomb",
    "disk": "writes to disk",
    "network": "datagrams on one bridge",
}
_IDLE = {
    "pss": "memory: PSS of\nall its processes",
    "cgroup-memory": "memory: its cgroup's\nown figure",
    "page-cache-again": "page cache that it\ndoes not share",
    "idle-cpu": "CPU time\na second",
}
_UNITS = {"idle-cpu": "second"}


def isolation(run: Run) -> Picture:
    """A victim's time beside a noisy neighbour / alone: without a limit on it, and with one."""
    with mpl.rc_context(STYLE):
        found = _measured(run, "isolation")
        targets = style.ordered({target for target, _ in found})
        figure = Picture(figsize=(8.6, 1.9 + 0.62 * len(_NOISES) + 0.24 * len(targets)))
        axis = figure.subplots()
        _slowdowns(axis, run, found, targets)
        return style.finished(
            figure,
            run,
            style.listed("What a noisy neighbour costs", _slowdowns_said(run, found, targets)),
            "mark: median · bar: 95 % interval · hollow: the neighbour is limited to 0.5 CPUs,"
            " 256 MiB, 64 processes",
        )


def idle(run: Run) -> Picture:
    """What one idle instance takes of memory and CPU, and of page cache that it does not share."""
    with mpl.rc_context(STYLE):
        found = _measured(run, "footprint")
        targets = style.ordered({target for target, _ in found})
        figure = Picture(figsize=(8.6, 2.0 + 0.42 * max(1, len(targets))))
        axes = figure.subplots(1, len(_IDLE), sharey=True)
        for axis, (metric, title) in zip(axes, _IDLE.items(), strict=True):
            _bars(axis, run, found, targets, metric, title)
        said = [
            f"{summary.label(target, run)} {metric} {units.quantity(each.median, each.unit)}"
            for (target, metric), each in found.items()
            if metric in _IDLE
        ]
        alt = style.listed("What one idle instance takes", said)
        return style.finished(figure, run, alt, "bar: median of one idle instance")


def answers(run: Run) -> Picture:
    """How fast instances answer a request against how many there are."""
    with mpl.rc_context(STYLE):
        samples = run.samples[run.samples["experiment"] == "density"]
        measured = (samples["metric"] == "answer-p50") & samples["value"].notna()
        targets = style.ordered(set(samples.loc[measured, "target"]))
        figure = Picture(figsize=(8.6, 3.2 + 0.2 * -(-len(targets) // 3)))
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
            style.band(axis, middle, tail, style.colour(target), size=3.5)
        style.log_ticks(axis.xaxis, lambda value, _: f"{value:,.0f}")
        style.log_ticks(axis.yaxis, style.tick("second"))
        axis.set_xlabel("instances running (log scale)")
        axis.set_ylabel("request to answer (log scale)")
        if not targets:
            style.say_empty(axis, run, "density")
        names = {name: f"{_shown(name, run)}{_loaded(run, name)}" for name in targets}
        marks = [style.mark("o", style.colour(name), said) for name, said in names.items()]
        style.titled(axis, "How fast a full host answers", marks, columns=2)
        alt = style.listed("How fast a full host answers", names.values())
        return style.finished(
            figure, run, alt, "line: median, n=50 a point · shade: up to the 99th percentile"
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
                measured = found.get((target, metric))
                if measured and measured.median and measured.median > 0:
                    colour = style.colour(target)
                    style.whisker(axis, measured.low, measured.high, y, colour)
                    axis.plot(
                        [measured.median], [y], marker="o", markersize=6, color=colour,
                        markerfacecolor=colour if filled else "white", linestyle="none",
                    )  # fmt: skip
    axis.axvline(1.0, color=FAINT, linewidth=1.2, zorder=0)
    style.rows(axis, list(_NOISES.values()))
    style.log_ticks(axis.xaxis, lambda value, _: f"{value:g} ×")
    axis.set_xlabel("time beside the neighbour / time alone (log scale), right is slower")
    if not targets:
        style.say_empty(axis, run, "isolation")
    marks = [
        style.mark("o", style.colour(name), f"{_shown(name, run)}, n={_n(found, name)}")
        for name in targets
    ]
    style.titled(axis, "What a noisy neighbour costs", marks)


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
        axis.barh(row, value, height=0.6, color=style.colour(target))
        text = f" {units.quantity(measured.median, unit)}"
        axis.text(value, row, text, va="center", fontsize=7.5, color=INK)
    style.rows(axis, [f"{_shown(name, run)}, n={_n(found, name)}" for name in targets] or [""])
    if not targets:
        style.say_empty(axis, run, "footprint")
    axis.set_xlim(0, (largest / scale.size or 1) * 1.9)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=2))
    axis.set_xlabel(scale.name)


def _measured(run: Run, experiment: str) -> dict[tuple[str, str], summary.Measurement]:
    return {
        (each.target, each.metric): each
        for each in summary.measurements(run)
        if each.experiment == experiment and each.median is not None
    }


def _shown(target: str, run: Run) -> str:
    return style.plain(summary.label(target, run))


def _slowdowns_said(
    run: Run, found: dict[tuple[str, str], summary.Measurement], targets: list[str]
) -> list[str]:
    return [
        f"{summary.label(target, run)} beside {what} {units.quantity(each.median, 'ratio')}"
        for noise, what in _NOISES.items()
        for target in targets
        if (each := found.get((target, f"beside-{noise}")))
    ]


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
