"""Picture of the delivery of images: the time of each operation, by tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl

from lab import units
from lab.analysis import summary
from lab.report import style
from lab.report.style import STYLE, Picture

if TYPE_CHECKING:
    from lab.results.run_folder import Run

_OPERATIONS = {
    "pull-cold": "pull",
    "ready": "pull, until\nit listens",
    "pull-changed": "pull, one\nlayer changed",
    "pull-warm": "pull again",
    "build-cold": "build",
    "build-changed": "build, one\nline changed",
    "build-cached": "build again",
    "push": "push",
    "save": "save",
    "load": "load",
    "disk-copy": "copy a\nmachine's disk",
    "disk-convert": "convert a\nmachine's disk",
}
_SPREAD = 0.7  # of a row's height, over which its targets are spread


def operations(run: Run) -> Picture:
    """Draw the seconds of each operation with its interval."""
    with mpl.rc_context(STYLE):
        measured = {
            (each.target, each.metric): each
            for each in summary.measurements(run)
            if each.experiment == "delivery" and each.metric in _OPERATIONS and each.median
        }
        targets = style.in_order({target for target, _ in measured})
        rows = [name for name in _OPERATIONS if any(metric == name for _, metric in measured)]
        figure = Picture(figsize=(8.6, 1.9 + 0.5 * max(1, len(rows)) + 0.1 * len(targets)))
        axis = figure.subplots()
        axis.set_xscale("log")
        axis.grid(visible=False, axis="y")
        values = []
        for (target, metric), each in measured.items():
            assert each.median is not None
            place = (targets.index(target) - (len(targets) - 1) / 2) / max(1, len(targets))
            y, colour = rows.index(metric) + _SPREAD * place, style.colour(target)
            style.draw_interval(axis, each.low, each.high, y, colour)
            axis.plot([each.median], [y], marker="o", markersize=6, color=colour, linestyle="none")
            name = summary.label(target, run)
            values.append(f"{name} {metric} {units.quantity(each.median, each.unit)}")
        style.label_rows(axis, [_OPERATIONS[name] for name in rows])
        style.set_log_ticks(axis.xaxis, style.tick_formatter("second"))
        axis.set_xlabel("time (log scale)")
        if not targets:
            style.explain_empty(axis, run, "delivery")
        counts = {name: max(m.n for (of, _), m in measured.items() if of == name)
                  for name in targets}  # fmt: skip
        marks = [
            style.legend_entry(
                "o", style.colour(name), f"{style.plain(summary.label(name, run))}, n={count}"
            )
            for name, count in counts.items()
        ]
        style.set_title(axis, "Delivery of images", marks)
        alt = style.description("Delivery of images", values)
        return style.finish(figure, run, alt, "mark: median · bar: 95 % interval")
