"""A picture of two targets round by round: their values, and the ratio of each round.

Where noise moves both targets in a round alike, the values scatter and the ratios do not.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from lab import units
from lab.analysis import labels, pairs
from lab.language.message import Message, joined
from lab.report import palette, style
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from lab.analysis.pairs import Pairs
    from lab.results.run_folder import Run


def draw(run: Run, experiment: str, metrics: Sequence[str], target: str, baseline: str) -> Picture:
    """Draw a row per metric: on the left the costs of both, on the right their ratios.

    Costs are relative to the baseline's median. A metric that no round has of both is left out.
    """
    found = {name: pairs.of(run, experiment, name, target, baseline) for name in metrics}
    rows = {name: each for name, each in found.items() if each.costs}
    with style.canvas():
        figure = Picture(figsize=(style.WIDTH, 1.3 + 0.36 * max(1, len(rows))))
        costs, ratios = figure.subplots(1, 2, sharey=True)
        for row, each in enumerate(rows.values()):
            _draw_costs(costs, row, each)
            _draw_ratios(ratios, row, each)
        style.label_rows(costs, [labels.metric(name) for name in rows])
        for axis in (costs, ratios):
            axis.set_xscale("log")
            axis.axvline(1.0, color=palette.FAINT, linewidth=1.0, zorder=0)
            style.set_log_ticks(axis.xaxis, lambda value, _: f"{value:g} ×")
        costs.set_xlabel(
            style.say(
                costs,
                Message("cost / median cost of {baseline}", baseline=labels.target_name(baseline)),
            )
        )
        ratios.set_xlabel(style.say(ratios, Message("ratio in the same round, right is slower")))
        style.add_legend(
            costs,
            [
                style.entry(mark, palette.colour(name), style.say(costs, style.named(name, run)))
                for mark, name in (("o", baseline), ("s", target))
            ],
        )
        if not rows:
            style.explain_empty(costs, run, experiment)
        finding = Message(
            "{target} and {baseline}, round by round",
            target=style.named(target, run),
            baseline=style.named(baseline, run),
        )
        values = [
            joined(" ", (labels.metric(name), units.quantity(each.estimate.centre, "ratio")))
            for name, each in rows.items()
        ]
        conditions = [
            Message("a line joins the two values of a round · bar: 95 % interval of the ratio"),
            style.counts({name: each.estimate.n for name, each in rows.items()}, run),
        ]
        return style.finish(figure, run, finding, values, conditions)


def _draw_costs(axis: Axes, row: int, each: Pairs) -> None:
    middle = median(each.baseline_costs.values())
    count = len(each.costs)
    for place, (number, cost) in enumerate(each.costs.items()):
        y = row + 0.5 * (place - (count - 1) / 2) / max(1, count)
        low, high = each.baseline_costs[number] / middle, cost / middle
        axis.plot([low, high], [y, y], color="#9ca3af", linewidth=0.8, zorder=1)
        axis.plot([low], [y], "o", markersize=3.6, color=palette.colour(each.baseline))
        axis.plot([high], [y], "s", markersize=3.6, color=palette.colour(each.target))


def _draw_ratios(axis: Axes, row: int, each: Pairs) -> None:
    colour, estimate = palette.colour(each.target), each.estimate
    ratios = list(each.ratios.values())
    axis.plot(ratios, [row] * len(ratios), "o", markersize=3.6, color=colour, alpha=0.4)
    style.draw_interval(axis, estimate.low, estimate.high, row, colour)
    if estimate.centre:
        axis.plot([estimate.centre], [row], "D", markersize=5, color=colour,
                  markeredgecolor="white", markeredgewidth=0.7)  # fmt: skip
