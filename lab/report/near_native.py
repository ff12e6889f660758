"""The picture of speed: the time of each workload relative to native, paired by round.

Containers and machines have a panel each: a scale that holds both would press all containers into
one line. Rows are ranked only where the container's interval excludes 1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab.analysis import labels, summary
from lab.claims.evidence import evidence_of
from lab.language.message import Message, joined
from lab.report import findings, palette, rows, style
from lab.report.palette import FAINT
from lab.report.picture import Picture
from lab.targets.registry import MACHINES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.gridspec import SubplotSpec

    from lab.report.rows import Rows
    from lab.results.run_folder import Run

_ROW_INCHES = 0.24
_FEW_TARGETS = 3
_BESIDE = "uml"  # a kernel as a process, which costs as much as a machine


def draw(run: Run, width: float = style.WIDTH) -> Picture:
    """Draw the time of each workload relative to native, containers at the left."""
    with style.canvas():
        picture = Picture(figsize=(width, height(run, width)))
        draw_on(picture, picture.add_gridspec(1, 1)[0], run, width)
        return style.finish(picture, run, findings.speed(run), values(run), conditions(run))


def height(run: Run, width: float = style.WIDTH) -> float:
    """Return the height of the drawing in inches."""
    return 1.4 + rows.rows(_ROW_INCHES, width).inches * max(3, len(metrics(run)))


def metrics(run: Run) -> list[str]:
    """Return the workloads of the run, in the order of their first measurement."""
    samples = run.samples
    names = samples.loc[samples["experiment"] == "performance", "metric"].unique()
    return [
        str(name) for name in names if not summary.metric(run, "performance", str(name)).explains
    ]


def values(run: Run) -> list[Message]:
    """Return the mean of all workloads relative to native of each target, as text."""
    evidence, result = evidence_of(run), []
    for target in labels.in_order({ratio.target for ratio in _ratios(run)}):
        if mean := evidence.mean_ratio(target, "native"):
            name = style.named(target, run)
            result.append(joined(" ", [name, findings.size(mean)]))
    return result


def conditions(run: Run) -> list[Message]:
    """Return what the marks are, and how many rounds each target has."""
    n = {ratio.target: ratio.n for ratio in _ratios(run)}
    return [
        Message("mark: median of ratios within rounds; bar: 95 % interval"),
        style.counts({name: n[name] for name in labels.in_order(n)}, run),
    ]


def draw_on(picture: Picture, place: SubplotSpec, run: Run, width: float = style.WIDTH) -> None:
    """Draw both panels in a part of a picture; a single one if only one kind was measured."""
    ratios = _ratios(run)
    names, places = ranked(run), rows.rows(_ROW_INCHES, width)
    kinds = [
        [ratio for ratio in ratios if (ratio.target in {*MACHINES, _BESIDE}) is of_machines]
        for of_machines in (False, True)
    ]
    panels = [kind for kind in kinds if kind] or [[]]
    axes = place.subgridspec(1, len(panels), width_ratios=[1.25, 1][: len(panels)]).subplots(
        squeeze=False
    )[0]
    for number, (axis, kind) in enumerate(zip(axes, panels, strict=True)):
        if kind:
            _panel(axis, run, names, kind, places)
        else:
            _explain_empty(axis, run)
        shown = [labels.metric(name) if number == 0 else "" for name in names]
        places.label(axis, shown, size=style.SMALL)
    style.label_ratios(axes, Message("time / native time"))


def _explain_empty(axis: Axes, run: Run) -> None:
    """Write why there is no ratio: nothing was measured, or no round has both sides of one."""
    if metrics(run):
        style.write_empty(axis, Message("no round has a target and native"))
    else:
        style.explain_empty(axis, run, "performance")


def ranked(run: Run) -> list[str]:
    """Return the workloads: those that are slower in a container, the slowest first, then others.

    The last are those that are faster. A workload whose interval includes 1 keeps its place.
    """
    ours = findings.container({ratio.target for ratio in _ratios(run)})
    of = {ratio.metric: ratio for ratio in _ratios(run) if ratio.target == ours}
    names = metrics(run)

    def rank(metric: str) -> tuple[int, float]:
        each = of.get(metric)
        if each is None or each.low is None or each.high is None or each.low <= 1 <= each.high:
            return 1, 0.0
        return (0, -each.ratio) if each.low > 1 else (2, -each.ratio)

    return sorted(names, key=rank)


def _panel(
    axis: Axes, run: Run, names: Sequence[str], ratios: Sequence[summary.Ratio], places: Rows
) -> None:
    axis.set_xscale("log")
    targets = labels.in_order({ratio.target for ratio in ratios})
    for ratio in ratios:
        if not 0 < ratio.ratio < math.inf:
            continue
        place = targets.index(ratio.target) - (len(targets) - 1) / 2
        offset = place * min(0.2, 0.76 / max(1, len(targets)))
        y = places.y(names.index(ratio.metric), offset)
        colour = palette.colour(ratio.target)
        style.draw_interval(axis, ratio.low, ratio.high, y, colour, width=1.3)
        axis.plot(
            [ratio.ratio], [y], marker=palette.marker(ratio.target), markersize=4.2, color=colour,
            linestyle="none",
            markeredgecolor=palette.PAPER, markeredgewidth=0.4,
        )  # fmt: skip
    axis.axvline(1.0, color=FAINT, linewidth=1.2, zorder=0)
    most = style.most_ticks(axis) // 2
    style.set_log_ticks(axis.xaxis, lambda value, _: f"{value:,g} ×", most)
    style.add_target_legend(axis, targets, run, columns=_legend_columns(axis, len(targets)))


def _legend_columns(axis: Axes, count: int) -> int:
    if count <= _FEW_TARGETS:
        return 1
    return 2 if style.is_narrow(style.picture_of(axis).width) else 3


def _ratios(run: Run) -> list[summary.Ratio]:
    shown = set(metrics(run))
    return [
        ratio
        for ratio in summary.ratios(run)
        if ratio.experiment == "performance"
        and ratio.baseline == "native"
        and ratio.metric in shown
    ]
