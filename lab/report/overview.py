"""The pictures that judge the table: starts, disk space, memory and speed, and all in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.language.message import Message, joined
from lab.language.punctuation import SENTENCES
from lab.report import filling, findings, start_times, style
from lab.report import footprint as disk
from lab.report import near_native as speed
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from lab.results.run_folder import Run

_FULL_WIDTH = 12.4
_ROW_INCHES = 0.185  # of a workload; closer than in a picture of its own

startup = start_times.draw
footprint = disk.draw
density = filling.draw
near_native = speed.draw


def overview(run: Run) -> Picture:
    """Draw start times, memory and relative time in a single picture, as far as measured."""
    with style.canvas():
        fast = bool(speed.metrics(run))
        left: list[tuple[float, Callable[[Axes, Run], None]]] = []
        memory = filling.memory_points(run)
        if _has(run, "startup") or not (fast or memory):
            left.append((start_times.height(run), start_times.draw_on))
        if memory:
            left.append((filling.memory_height(run), filling.draw_memory_rows))
        heights = [height for height, _ in left]
        whole = max(sum(heights), 1.6 + _ROW_INCHES * len(speed.metrics(run)) if fast else 0.0)
        columns = bool(left) + fast
        width = _FULL_WIDTH if columns == 2 else style.WIDTH
        picture = Picture(figsize=(width, whole))
        grid = picture.add_gridspec(1, columns, width_ratios=(1, 1.12)[-columns:])
        if left:
            rows = grid[0, 0].subgridspec(len(left), 1, height_ratios=heights)
            for row, (_, draw) in enumerate(left):
                axis = picture.add_subplot(rows[row, 0])
                draw(axis, run)
        if fast:
            speed.draw_on(picture, grid[0, columns - 1], run)
        values: list[Message] = []
        conditions: list[Message] = []
        if _has(run, "startup"):
            values += start_times.values(run)
            conditions += start_times.conditions(run)
        if memory:
            values += filling.memory_values(run)
        if fast:
            values += speed.values(run)
            conditions += speed.conditions(run)
        return style.finish(picture, run, _finding(run), values, dict.fromkeys(conditions))


def _finding(run: Run) -> Message:
    """Return the findings of all parts, a sentence each."""
    parts = [
        find(run)
        for experiment, find in (
            ("startup", findings.starts),
            ("density", findings.memory),
            ("performance", findings.speed),
        )
        if _has(run, experiment)
    ] or [findings.starts(run)]
    return joined(SENTENCES, parts)


def _has(run: Run, experiment: str) -> bool:
    return bool((run.samples["experiment"] == experiment).any())
