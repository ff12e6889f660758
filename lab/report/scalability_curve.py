"""A picture of starts per second over the number at once, with the law that fits each target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FuncFormatter

from lab.language.message import Message
from lab.report import palette, style
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.results.run_folder import Run
    from lab.scaling.scalability import Scalability
    from lab.scaling.start_times import Conditional

_POINTS = 80
_DASHES = ("-", "--", ":", "-.", (0, (3, 1, 1, 1)))


def draw(run: Run, starts: Mapping[str, Conditional], laws: Mapping[str, Scalability]) -> Picture:
    """Draw the measured rates of each target, and its law if it has one."""
    with style.canvas():
        picture = Picture(figsize=(style.WIDTH, 3.2))
        axis = picture.subplots()
        findings = []
        for (name, each), dashes in zip(starts.items(), _DASHES, strict=False):
            marker = palette.marker(name)
            counts, rates = each.rates.T
            colour = palette.colour(name)
            label = picture.say(style.named(name, run))
            axis.plot([], [], marker, linestyle=dashes, color=colour, label=label)
            axis.plot(counts, rates, marker, markersize=4.5, alpha=0.6, color=colour)
            if law := laws.get(name):
                along = np.geomspace(1, 2 * counts.max(), _POINTS)
                rates_along = [law.predict(count) for count in along]
                axis.plot(along, rates_along, linestyle=dashes, color=colour)
                findings += _limit(style.named(name, run), law)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        style.set_log_ticks(axis.yaxis, lambda value, _: f"{value:g} /s")
        axis.set_xlabel(picture.say(Message("started at once (log scale)")))
        axis.set_ylabel(picture.say(Message("starts per second (log scale)")))
        axis.legend(fontsize=8.5)
        finding = findings[0] if findings else Message("Starts per second over the number at once")
        conditions = [Message("dot: a round · line: the Universal Scalability Law that fits best")]
        return style.finish(picture, run, finding, findings, conditions)


def _limit(label: str, law: Scalability) -> list[Message]:
    """Return the law's limit as a sentence; nothing if the curve has no maximum."""
    if law.peak.centre is None or law.peak_at.centre is None:
        return []
    return [
        Message(
            "{target}: at most {rate:.3g} starts per second, with {count:.0f} at once",
            target=label,
            rate=law.peak.centre,
            count=law.peak_at.centre,
        )
    ]
