"""A picture of the starts of several targets, step by step, aligned at the request.

The upper part has one time axis for all, so that a position means the same moment in each row. The
lower part stretches each start to the same length, so that a width means a share of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.ticker import PercentFormatter

from lab import units
from lab.analysis import pairs, summary
from lab.language.message import Message, joined, recalled, shortened
from lab.language.punctuation import COLON, COMMA
from lab.report import palette, style
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from lab.analysis.pairs import Step
    from lab.results.run_folder import Run

TARGETS = ("container", "microvm-restore", "vm-restore", "microvm", "vm")
_NAMED = 3  # steps of each target, the longest
_HUES = ("#0f766e", "#1d4ed8", "#b45309")
_OTHER = "#d1d5db"
_SHORTEST_SECONDS = 1e-4  # where the logarithmic axis begins
_LETTER = 0.0128  # of the width of the picture
_FEWEST_LETTERS = 7  # of a name that is cut off


def draw(run: Run, targets: Sequence[str] = TARGETS) -> Picture:
    """Draw the steps of each target that the run has steps of."""
    starts = {name: steps for name in targets if (steps := pairs.steps(run, name))}
    with style.canvas():
        figure = Picture(figsize=(style.WIDTH, 1.7 + 0.75 * max(1, len(starts))))
        moments, shares = figure.subplots(2, 1)
        for row, steps in enumerate(starts.values()):
            _draw_row(moments, shares, row, steps)
        names = [style.named(name, run) for name in starts]
        for axis in (moments, shares):
            style.label_rows(axis, names)
        _finish_axes(moments, shares, starts)
        if not starts:
            style.explain_empty(moments, run, "startup")
        values = [
            joined(
                COLON,
                [
                    joined(" ", [summary.label(name, run), units.quantity(_end(steps), "second")]),
                    joined(
                        COMMA,
                        [
                            joined(" ", [step.name, units.share(_share(step, steps))])
                            for step in _longest(steps)
                        ],
                    ),
                ],
            )
            for name, steps in starts.items()
        ]
        conditions = [
            Message("coloured: the three longest steps of each start, from median begin to end")
        ]
        return style.finish(figure, run, _finding(run, starts), values, conditions)


def _draw_row(moments: Axes, shares: Axes, row: int, steps: Sequence[Step]) -> None:
    hues = {step.name: hue for step, hue in zip(_longest(steps), _HUES, strict=False)}
    total = _end(steps)
    for step in steps:
        hue = hues.get(step.name, _OTHER)
        begin = max(step.begin_seconds, _SHORTEST_SECONDS)
        width = step.end_seconds - begin
        if width > 0:
            moments.barh(row, width, left=begin, height=0.62, color=hue, edgecolor="white",
                         linewidth=0.5)  # fmt: skip
        share = _share(step, steps)
        left = step.begin_seconds / total
        shares.barh(row, share, left=left, height=0.62, color=hue, edgecolor="white",
                    linewidth=0.5)  # fmt: skip
        if step.name in hues and (text := _fitting(shares, step.name, share)):
            shares.text(left + share / 2, row, text, ha="center", va="center", fontsize=7.5,
                        color="white")  # fmt: skip
    moments.annotate(
        units.quantity(total, "second"), (total, row), xytext=(4, 0), textcoords="offset points",
        va="center", fontsize=8, color=palette.INK,
    )  # fmt: skip


def _finish_axes(moments: Axes, shares: Axes, starts: dict[str, tuple[Step, ...]]) -> None:
    last = max(map(_end, starts.values()), default=1.0)
    moments.set_xscale("log")
    moments.set_xlim(_SHORTEST_SECONDS, last * 4)
    style.set_log_ticks(moments.xaxis, style.tick_formatter("second"))
    moments.set_xlabel(
        style.say(moments, Message("time since the request, one clock for all (log scale)"))
    )
    shares.set_xlim(0, 1)
    shares.xaxis.set_major_formatter(PercentFormatter(1.0))
    shares.set_xlabel(style.say(shares, Message("share of the whole start")))
    for axis in (moments, shares):
        axis.tick_params(axis="x", labelsize=8, labelcolor=palette.FAINT)


def _finding(run: Run, starts: dict[str, tuple[Step, ...]]) -> Message:
    """Return what the picture shows: where the time of the slowest start goes."""
    if not starts:
        return Message("The run has no steps of starts")
    fastest, slowest = (
        choose(starts, key=lambda name: _end(starts[name])) for choose in (min, max)
    )
    longest = _longest(starts[slowest])[0]
    return Message(
        "{fast} is there after {soon}, {slow} after {late}: {share} of it “{step}”",
        fast=style.named(fastest, run),
        soon=units.quantity(_end(starts[fastest]), "second"),
        slow=style.named(slowest, run),
        late=units.quantity(_end(starts[slowest]), "second"),
        share=units.share(_share(longest, starts[slowest])),
        step=longest.name,
    )


def _end(steps: Sequence[Step]) -> float:
    """Return when the last step has ended."""
    return max(step.end_seconds for step in steps)


def _longest(steps: Sequence[Step]) -> list[Step]:
    return sorted(steps, key=lambda step: -step.seconds)[:_NAMED]


def _share(step: Step, steps: Sequence[Step]) -> float:
    total = _end(steps)
    return step.seconds / total if total else 0.0


def _fitting(axis: Axes, name: str, share: float) -> str:
    """Return the name as far as it fits into a bar of that share of the width."""
    room = int(share / _LETTER)
    if room < len(name) and room <= _FEWEST_LETTERS:
        return ""
    return style.say(axis, shortened(name if isinstance(name, Message) else recalled(name), room))
