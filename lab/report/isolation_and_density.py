"""Pictures of noisy neighbours, of idle instances, and of response times on a filling host."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab import units
from lab.analysis import labels
from lab.language.message import Message, joined
from lab.language.punctuation import SEMICOLON
from lab.report import bars, findings, line_labels, palette, rows, style
from lab.report.palette import FAINT
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from lab.report.bars import Measured
    from lab.report.rows import Rows
    from lab.results.run_folder import Run

_NOISES = {
    "cpu": Message("busy loops"),
    "memory": Message("copies of memory"),
    "forks": Message("a fork bomb"),
    "disk": Message("writes to disk"),
    "network": Message("datagrams on one bridge"),
}
_IDLE = {
    "pss": Message("memory (PSS)"),
    "cgroup-memory": Message("memory (its cgroup)"),
    "page-cache-again": Message("page cache not shared"),
    "idle-cpu": Message("CPU time per second"),
}
_TARGET_INCHES = 0.105


def isolation(run: Run, width: float = style.WIDTH) -> Picture:
    """Draw a victim's time beside a noisy neighbour / alone, with and without limits on it."""
    with style.canvas():
        measured = bars.measured(run, "isolation", _metrics())
        targets = labels.in_order({target for target, _ in measured})
        noises = [noise for noise in _NOISES if any(_is_of(noise, name) for _, name in measured)]
        places = rows.rows(max(0.5, _TARGET_INCHES * len(targets) + 0.12), width)
        legend = 0.2 * -(-len(targets) // style.legend_columns(width))
        body = 1.2 + places.inches * max(2, len(noises))
        picture = Picture(figsize=(width, legend + body))
        grid = picture.add_gridspec(2, 1, height_ratios=(legend or 0.01, body))
        inner = grid[1].subgridspec(1, 2)
        left = picture.add_subplot(inner[0])
        axes = (left, picture.add_subplot(inner[1], sharex=left))
        kinds = {
            "": Message("neighbour unlimited"), "-limited": Message("neighbour limited"),
        }  # fmt: skip
        names = [_NOISES[noise] for noise in noises]
        for axis, (suffix, title) in zip(axes, kinds.items(), strict=True):
            _slowdowns(
                axis, measured, targets, [f"beside-{each}{suffix}" for each in noises], places
            )
            axis.set_title(style.say(axis, title))
            places.label(axis, [""] * len(names) if suffix else names)
        if targets:
            style.label_ratios(axes, Message("time beside it / alone"))
            style.legend_row(picture, grid[0], targets, run)
        else:
            style.explain_empty(axes[0], run, "isolation")
            style.explain_empty(axes[1], run, "isolation")
        conditions = [
            Message("mark: median; bar: 95 % interval"),
            Message("limits: 0.5 CPUs, 256 MiB, 64 processes; machines always by their size"),
            style.counts(bars.rounds(measured), run),
        ]
        finding = _isolation_finding(run, measured)
        return style.finish(picture, run, finding, _slowdown_values(run, measured), conditions)


def idle(run: Run, width: float = style.WIDTH) -> Picture:
    """Draw the memory and the CPU time of an idle instance, and its unshared page cache."""
    picture = bars.draw(run, "footprint", _IDLE, columns=2, width=width)
    measured = bars.measured(run, "footprint", _IDLE)
    values = [
        Message(
            "{target}, {what}: {value}", target=style.named(target, run), what=_IDLE[metric],
            value=units.quantity(each.median, each.unit),
        )
        for (target, metric), each in measured.items()
    ]  # fmt: skip
    conditions = [
        Message("bar: median of an idle instance; line: 95 % interval"),
        style.counts(bars.rounds(measured), run),
    ]
    return style.finish(picture, run, _idle_finding(run, measured), values, conditions)


def answers(run: Run, width: float = style.WIDTH) -> Picture:
    """Draw the response time of instances over their number."""
    with style.canvas():
        targets = labels.in_order(_answers(run, "answer-p50")["target"].unique())
        height = max(2.8, 0.8 + line_labels.labels_inches(targets, run, width))
        picture = Picture(figsize=(width, height))
        axis = picture.subplots()
        ends = []
        if targets:
            axis.set_xscale("log")
            axis.set_yscale("log")
        for target in targets:
            colour = palette.colour(target)
            middle, tail = (_by_count(run, target, f"answer-{name}") for name in ("p50", "p99"))
            at, value = style.positive_points(middle.index, middle)
            axis.plot(at, value, marker=palette.marker(target), markersize=4, color=colour)
            style.draw_shade(axis, middle, tail, colour)
            if at:
                ends.append(line_labels.line_end(at[-1], value[-1], target, run, width))
        if targets:
            most = style.most_ticks(axis)
            style.set_log_ticks(axis.xaxis, lambda value, _: f"{value:,.0f}", most)
            style.set_log_ticks(axis.yaxis, style.tick_formatter("second"), most=6)
            axis.set_xlabel(style.say(axis, Message("instances running (log scale)")))
            axis.set_title(style.say(axis, Message("response time")))
            line_labels.label_ends(axis, ends, height - 0.9)
        else:
            style.explain_empty(axis, run, "density")
        conditions = [Message("line: median, n=50 per point; shade: up to the 99th percentile")]
        values = [_answered(run, name) for name in targets]
        return style.finish(picture, run, _answers_finding(run, targets), values, conditions)


def _slowdowns(
    axis: Axes, measured: Measured, targets: Sequence[str], metrics: Sequence[str], places: Rows
) -> None:
    axis.set_xscale("log")
    for row, metric in enumerate(metrics):
        for place, target in enumerate(targets):
            spread = min(0.2, 0.76 / max(1, len(targets)))
            y = places.y(row, (place - (len(targets) - 1) / 2) * spread)
            figure = measured.get((target, metric))
            if figure and figure.median and 0 < figure.median < math.inf:
                colour = palette.colour(target)
                style.draw_interval(axis, figure.low, figure.high, y, colour, width=1.5)
                style.draw_median(axis, figure.median, y, colour, palette.marker(target))
    axis.axvline(1.0, color=FAINT, linewidth=1.2, zorder=0)
    style.set_log_ticks(axis.xaxis, lambda value, _: f"{value:g} ×", most=4)


def _isolation_finding(run: Run, measured: Measured) -> Message:
    """Return how much a container suffers from its worst neighbour, and whether a limit helps."""
    ours = findings.container({target for target, _ in measured})
    beside = {
        noise: each for noise in _NOISES if (each := measured.get((ours or "", f"beside-{noise}")))
    }
    if ours is None or not beside:
        return Message("Cost of a noisy neighbour")
    proven = {noise: each for noise, each in beside.items() if each.low and each.low > 1}
    worst = max(proven or beside, key=lambda noise: beside[noise].median or 0.0)
    each = beside[worst]
    times = units.quantity(each.median, "ratio")
    interval = units.interval(each.low, each.high, "ratio")
    if proven:
        return Message(
            "Beside {noise}, {target} takes {times} as long ({interval})",
            noise=_NOISES[worst], target=findings.noun(ours, run), times=times, interval=interval,
        )  # fmt: skip
    if each.low is None:
        return Message(
            "Beside {noise}, {target} takes {times} as long, in a single round",
            noise=_NOISES[worst], target=findings.noun(ours, run), times=times,
        )  # fmt: skip
    return Message(
        "No neighbour slows {target} by more than its interval; {noise} comes nearest:"
        " {times} ({interval})",
        noise=_NOISES[worst], target=findings.noun(ours, run), times=times, interval=interval,
    )  # fmt: skip


def _idle_finding(run: Run, measured: Measured) -> Message:
    held = {target: each for (target, metric), each in measured.items() if metric == "pss"}
    names = findings.pair(held)
    if not names:
        return Message("Resources of an idle instance")
    ours, theirs = names
    return Message(
        "Idle, {container} holds {ours} of memory and {machine} {theirs}",
        container=findings.noun(ours, run), machine=findings.noun(theirs, run),
        ours=units.quantity(held[ours].median, "byte"),
        theirs=units.quantity(held[theirs].median, "byte"),
    )  # fmt: skip


def _answers_finding(run: Run, targets: Sequence[str]) -> Message:
    chosen = [name for name in (findings.container(targets), findings.machine(targets)) if name]
    parts = [_answered(run, name) for name in chosen]
    return joined(SEMICOLON, parts) if parts else Message("Response time as the host fills")


def _answered(run: Run, target: str) -> Message:
    """Return the last response time, and the rate of answers when all instances were busy."""
    middle = _by_count(run, target, "answer-p50")
    known = {
        "count": f"{middle.index[-1]:,.0f}", "target": style.named(target, run),
        "time": units.quantity(float(middle.iloc[-1]), "second"),
    }  # fmt: skip
    loaded = _answers(run, "loaded-answers")
    rate = loaded.loc[loaded["target"] == target, "value"]
    if rate.empty:
        return Message("{count} × {target}: half of the answers within {time}", **known)
    return Message(
        "{count} × {target}: half of the answers within {time}, {rate} answers a second",
        rate=f"{rate.median():,.0f}", **known,
    )  # fmt: skip


def _answers(run: Run, metric: str) -> pd.DataFrame:
    samples = run.samples
    chosen: pd.DataFrame = samples[
        (samples["experiment"] == "density")
        & (samples["metric"] == metric)
        & samples["value"].notna()
    ]
    return chosen


def _by_count(run: Run, target: str, metric: str) -> pd.Series[float]:
    chosen = _answers(run, metric)
    return chosen[chosen["target"] == target].groupby("position")["value"].median()


def _slowdown_values(run: Run, measured: Measured) -> list[Message]:
    return [
        Message(
            "{target} beside {what} {times}", target=style.named(target, run), what=what,
            times=units.quantity(each.median, "ratio"),
        )
        for noise, what in _NOISES.items()
        for (target, metric), each in measured.items()
        if metric == f"beside-{noise}"
    ]  # fmt: skip


def _metrics() -> dict[str, Message]:
    return {
        f"beside-{noise}{suffix}": what
        for noise, what in _NOISES.items()
        for suffix in ("", "-limited")
    }


def _is_of(noise: str, metric: str) -> bool:
    return metric in (f"beside-{noise}", f"beside-{noise}-limited")
