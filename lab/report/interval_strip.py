"""A picture of many intervals of the same figure, of which those that miss the truth stand out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.language.message import Message, joined
from lab.report import palette, style
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.statistics.estimates import Estimate

_RIGHT, _WRONG = "#0f766e", "#b91c1c"


def contains(estimate: Estimate, truth: float) -> bool:
    """Return True if the interval is known and contains the truth."""
    low, high = estimate.low, estimate.high
    return low is not None and high is not None and low <= truth <= high


def draw(estimates: Sequence[Estimate], truth: float, source: str) -> Picture:
    """Draw the intervals in the order of their centres; `source` says where they come from."""
    ordered = sorted(
        (each.centre, each.low, each.high)
        for each in estimates
        if each.centre is not None and each.low is not None and each.high is not None
    )
    right = sum(low <= truth <= high for _, low, high in ordered)
    with style.canvas():
        figure = Picture(figsize=(style.WIDTH, 2.6))
        axis = figure.subplots()
        for place, (centre, low, high) in enumerate(ordered):
            hit = low <= truth <= high
            axis.plot([place, place], [low, high], color=_RIGHT if hit else _WRONG,
                      linewidth=1.4 if hit else 2.4, alpha=0.65 if hit else 1.0)  # fmt: skip
            axis.plot([place], [centre], "o", markersize=2.4, color=palette.INK)
        if ordered:
            axis.set_ylim(*_shown(ordered))
        axis.axhline(truth, color=palette.FAINT, linewidth=1.2)
        axis.set_xticks([])
        axis.set_xlabel(style.say(axis, Message("repetitions, in the order of their figures")))
        axis.set_ylabel(style.say(axis, Message("figure and interval")))
        finding = Message(
            "{right} of {all} intervals contain the truth", right=right, all=len(ordered)
        )
        conditions = [
            Message("dot: a figure · line: its 95 % interval, red if it misses · grey: the truth"),
            source,
        ]
        alt = joined("", [finding, f": {truth:.3g}, {source}."])
        return style.describe(figure, finding, conditions, alt)


def _shown(ordered: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return limits that cut off the longest twentieth of the lines, which hide the others."""
    lows = sorted(low for _, low, _ in ordered)
    highs = sorted(high for _, _, high in ordered)
    cut = len(ordered) // 20
    low, high = lows[cut], highs[-1 - cut]
    margin = 0.1 * (high - low) or 0.1 * abs(high)
    return low - margin, high + margin
