"""Pictures of noisy neighbours, of idle instances, and of response times on a filling host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ticker import MaxNLocator

from lab import metrics, units
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
    "cgroup-memory": "memory: charged\nto its cgroup",
    "page-cache-again": "page cache that\nis not shared",
    "idle-cpu": "CPU time\nper second",
}


def isolation(run: Run) -> Picture:
    """Draw a victim's time beside a noisy neighbour / alone, with and without limits on it."""
    with mpl.rc_context(STYLE):
        measured = _measured(run, "isolation")
        targets = style.in_order({target for target, _ in measured})
        figure = Picture(figsize=(8.6, 1.9 + 0.62 * len(_NOISES) + 0.24 * len(targets)))
        axis = figure.subplots()
        _slowdowns(axis, run, measured, targets)
        return style.finish(
            figure,
            run,
            style.description(
                "Cost of a noisy neighbour", _slowdown_values(run, measured, targets)
            ),
            "mark: median · bar: 95 % interval · hollow: the neighbour is limited to 0.5 CPUs,"
            " 256 MiB, 64 processes",
        )


def idle(run: Run) -> Picture:
    """Draw the memory and the CPU time of an idle instance, and its unshared page cache."""
    with mpl.rc_context(STYLE):
        measured = _measured(run, "footprint")
        targets = style.in_order({target for target, _ in measured})
        figure = Picture(figsize=(8.6, 2.0 + 0.42 * max(1, len(targets))))
        axes = figure.subplots(1, len(_IDLE), sharey=True)
        for axis, (metric, title) in zip(axes, _IDLE.items(), strict=True):
            _bars(axis, run, measured, targets, metric, title)
        values = [
            f"{summary.label(target, run)} {metric} {units.quantity(each.median, each.unit)}"
            for (target, metric), each in measured.items()
            if metric in _IDLE
        ]
        alt = style.description("Resources of an idle instance", values)
        return style.finish(figure, run, alt, "bar: median of an idle instance")


def answers(run: Run) -> Picture:
    """Draw the response time of instances over their number."""
    with mpl.rc_context(STYLE):
        samples = run.samples[run.samples["experiment"] == "density"]
        answered = (samples["metric"] == "answer-p50") & samples["value"].notna()
        targets = style.in_order(set(samples.loc[answered, "target"]))
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
            style.draw_band(axis, middle, tail, style.colour(target), size=3.5)
        style.set_log_ticks(axis.xaxis, lambda value, _: f"{value:,.0f}")
        style.set_log_ticks(axis.yaxis, style.tick_formatter("second"))
        axis.set_xlabel("instances running (log scale)")
        axis.set_ylabel("response time (log scale)")
        if not targets:
            style.explain_empty(axis, run, "density")
        names = {name: f"{_shown(name, run)}{_loaded(run, name)}" for name in targets}
        marks = [style.legend_entry("o", style.colour(name), text) for name, text in names.items()]
        style.set_title(axis, "Response time as the host fills", marks, columns=2)
        alt = style.description("Response time as the host fills", names.values())
        return style.finish(
            figure, run, alt, "line: median, n=50 per point · shade: up to the 99th percentile"
        )


def _slowdowns(
    axis: Axes, run: Run, measured: dict[tuple[str, str], summary.Measurement], targets: list[str]
) -> None:
    axis.set_xscale("log")
    axis.grid(visible=False, axis="y")
    for row, noise in enumerate(_NOISES):
        for place, target in enumerate(targets):
            y = row + (place - (len(targets) - 1) / 2) * min(0.16, 0.7 / max(1, len(targets)))
            for metric, filled in ((f"beside-{noise}", True), (f"beside-{noise}-limited", False)):
                figure = measured.get((target, metric))
                if figure and figure.median and figure.median > 0:
                    colour = style.colour(target)
                    style.draw_interval(axis, figure.low, figure.high, y, colour)
                    axis.plot(
                        [figure.median], [y], marker="o", markersize=6, color=colour,
                        markerfacecolor=colour if filled else "white", linestyle="none",
                    )  # fmt: skip
    axis.axvline(1.0, color=FAINT, linewidth=1.2, zorder=0)
    style.label_rows(axis, list(_NOISES.values()))
    style.set_log_ticks(axis.xaxis, lambda value, _: f"{value:g} ×")
    axis.set_xlabel("time beside the neighbour / time alone (log scale), right is slower")
    if not targets:
        style.explain_empty(axis, run, "isolation")
    marks = [
        style.legend_entry("o", style.colour(name), f"{_shown(name, run)}, n={_n(measured, name)}")
        for name in targets
    ]
    style.set_title(axis, "Cost of a noisy neighbour", marks)


def _bars(
    axis: Axes,
    run: Run,
    measured: dict[tuple[str, str], summary.Measurement],
    targets: list[str],
    metric: str,
    title: str,
) -> None:
    axis.set_title(title, fontsize=8.5, pad=6)
    axis.grid(visible=False, axis="y")
    unit = metrics.find("footprint", metric).unit
    values = {name: measured[name, metric] for name in targets if (name, metric) in measured}
    largest = max((each.median or 0.0 for each in values.values()), default=0.0)
    scale = units.scale_for(largest, unit)
    for row, target in enumerate(targets):
        if target not in values or values[target].median is None:
            axis.text(0, row, " —", va="center", fontsize=8, color=FAINT)
            continue
        figure = values[target]
        value = max(0.0, figure.median or 0.0) / scale.size
        axis.barh(row, value, height=0.6, color=style.colour(target))
        text = f" {units.quantity(figure.median, unit)}"
        axis.text(value, row, text, va="center", fontsize=7.5, color=INK)
    style.label_rows(
        axis, [f"{_shown(name, run)}, n={_n(measured, name)}" for name in targets] or [""]
    )
    if not targets:
        style.explain_empty(axis, run, "footprint")
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


def _slowdown_values(
    run: Run, measured: dict[tuple[str, str], summary.Measurement], targets: list[str]
) -> list[str]:
    return [
        f"{summary.label(target, run)} beside {what} {units.quantity(each.median, 'ratio')}"
        for noise, what in _NOISES.items()
        for target in targets
        if (each := measured.get((target, f"beside-{noise}")))
    ]


def _n(measured: dict[tuple[str, str], summary.Measurement], target: str) -> int:
    return max(each.n for (name, _), each in measured.items() if name == target)


def _loaded(run: Run, target: str) -> str:
    """Return the rate of answers when all instances were kept busy, as text; empty if unknown."""
    samples = run.samples
    chosen = samples[
        (samples["experiment"] == "density")
        & (samples["target"] == target)
        & (samples["metric"] == "loaded-answers")
    ]
    if chosen["value"].isna().all():
        return ""
    return f": {chosen['value'].median():,.0f} answers per second, n={len(chosen)}"
