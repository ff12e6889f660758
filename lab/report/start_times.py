"""The picture of start times: from the request to each milestone, by target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import units
from lab.analysis import labels, summary
from lab.language.message import Message, joined
from lab.metrics import MILESTONES
from lab.report import findings, palette, rows, style
from lab.report.palette import INK
from lab.report.picture import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lab.report.rows import Rows
    from lab.results.run_folder import Run

_MARKERS = {"first-instruction": "o", "ready": "s", "userspace": "D"}
_ROW_INCHES, _NARROW_ROW_INCHES = 0.4, 0.3
_FIGURE_SHARE, _NARROW_FIGURE_SHARE = 0.16, 0.22  # of the axis, for the figure after a row


def draw(run: Run, width: float = style.WIDTH) -> Picture:
    """Draw the time from the request to each milestone by target, on a logarithmic scale."""
    with style.canvas():
        picture = Picture(figsize=(width, height(run, width)))
        draw_on(picture.subplots(), run, width)
        return style.finish(picture, run, findings.starts(run), values(run), conditions(run))


def height(run: Run, width: float = style.WIDTH) -> float:
    """Return the height of the drawing in inches."""
    return 0.9 + _rows(width).inches * max(2, len(_targets(run)))


def _rows(width: float) -> Rows:
    return rows.rows(_NARROW_ROW_INCHES if style.is_narrow(width) else _ROW_INCHES, width)


def conditions(run: Run) -> list[Message]:
    """Return what the marks are, and how many rounds each target has."""
    measured = _measured(run)
    rounds = {
        target: max((m.n for (name, _), m in measured.items() if name == target), default=0)
        for target in _targets(run)
    }
    return [
        Message("mark: median; bar: 95 % interval; pale: raw samples"), style.counts(rounds, run)
    ]  # fmt: skip


def values(run: Run) -> list[Message]:
    """Return the medians as text."""
    return [
        joined(
            " ",
            [
                style.named(target, run),
                labels.metric(metric),
                units.quantity(each.median, each.unit),
            ],
        )
        for (target, metric), each in _measured(run).items()
    ]


def draw_on(axis: Axes, run: Run, width: float = style.WIDTH) -> None:
    """Draw a row per target: pale raw points, with the median and its interval on top."""
    measured, targets, places = _measured(run), _targets(run), _rows(width)
    if not measured:
        style.label_rows(axis, [])
        style.explain_empty(axis, run, "startup")
        return
    axis.set_xscale("log")
    farthest = 0.0
    for row, target in enumerate(targets):
        drawn = [metric for metric in _MARKERS if (target, metric) in measured]
        colour, last = palette.colour(target), 0.0
        for place, metric in enumerate(drawn):
            each = measured[target, metric]
            y = places.y(row, 0.27 * (place - (len(drawn) - 1) / 2))
            style.draw_raw(axis, each.samples, y, colour)
            style.draw_interval(axis, each.low, each.high, y, colour)
            if each.median is not None and each.median > 0:
                style.draw_median(axis, each.median, y, colour, _MARKERS[metric])
            last = max([last, *each.samples, each.high or 0.0])
        if drawn and last > 0:
            end = measured[target, "ready" if "ready" in drawn else drawn[-1]]
            axis.annotate(
                style.say(axis, units.quantity(end.median, end.unit)), (last, places.y(row)),
                xytext=(7, 0), textcoords="offset points", va="center", fontsize=style.SMALL,
                color=colour, fontweight="bold",
            )  # fmt: skip
        farthest = max(farthest, last)
    failed = {
        target: max((m.censored for (name, _), m in measured.items() if name == target), default=0)
        for target in targets
    }
    places.label(
        axis,
        [style.named(target, run) for target in targets],
        [
            Message("{count} failed", count=failed[target]) if failed[target] else ""
            for target in targets
        ],
    )
    low, high = axis.get_xlim()
    if 0 < low < high and farthest > 0:
        share = _NARROW_FIGURE_SHARE if style.is_narrow(width) else _FIGURE_SHARE
        axis.set_xlim(low, max(high, farthest * (high / low) ** share))
    style.set_log_ticks(axis.xaxis, style.tick_formatter("second"))
    axis.set_xlabel(style.say(axis, Message("time since the request (log scale)")))
    shown = {metric for _, metric in measured}
    style.add_legend(
        axis,
        [
            style.entry(mark, INK, style.say(axis, _milestone(metric)))
            for metric, mark in _MARKERS.items() if metric in shown
        ],
        columns=2 if style.is_narrow(width) else 3,
    )  # fmt: skip


def _milestone(metric: str) -> Message:
    return {
        "first-instruction": Message("first instruction"),
        "ready": Message("ready (figure at the right)"),
        "userspace": Message("default target"),
    }[metric]


def _measured(run: Run) -> dict[tuple[str, str], summary.Measurement]:
    return {
        (m.target, m.metric): m
        for m in summary.measurements(run)
        if m.experiment == "startup" and m.metric in MILESTONES and m.n
    }


def _targets(run: Run) -> list[str]:
    samples = run.samples
    return labels.in_order(
        map(str, samples.loc[samples["experiment"] == "startup", "target"].unique())
    )
