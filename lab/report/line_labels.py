"""Direct labels: names at the ends of lines, apart from each other."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple

from lab.analysis import labels
from lab.language.message import Message, joined
from lab.language.punctuation import COMMA
from lab.report import palette, style
from lab.report.palette import FAINT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from lab.results.run_folder import Run

_LINE_POINTS, _LABEL_INCHES = 10.5, 0.16


class End(NamedTuple):
    """The end of a line, and the label that is written beside it, with a note below it."""

    x: float
    y: float
    label: str
    colour: str
    note: str = ""


def line_end(x: float, y: float, target: str, run: Run, width: float, size: str = "") -> End:
    """Return the end of a target's line. A narrow picture has size and remark below the name."""
    colour = palette.colour(target)
    if not style.is_narrow(width):
        label = style.named(target, run)
        return End(x, y, joined(" ", [label, size]) if size else label, colour)
    remark = Message("emulated") if labels.is_emulated(target, run) else ""
    note = joined(COMMA, filter(None, (size, remark)))
    return End(x, y, joined("", [style.target_name(target, width)]), colour, note)


def labels_inches(targets: Sequence[str], run: Run, width: float, *, sized: bool = False) -> float:
    """Return the height that the labels of these targets' lines take, with sizes or without."""
    narrow = style.is_narrow(width)
    lines = sum(2 if narrow and (sized or labels.is_emulated(name, run)) else 1 for name in targets)
    return _LABEL_INCHES * lines


def label_ends(axis: Axes, ends: Sequence[End], inches: float) -> None:
    """Write each line's label at the right of the axes, apart from each other, with a leader.

    `inches` is about the height of the axes, whose limits are set already.
    """
    low, high = axis.get_ylim()
    scale = axis.yaxis.get_transform()
    bottom, top = (float(scale.transform([each])[0]) for each in (low, high))
    inorder = sorted(ends, key=lambda each: each.y)
    wanted = [
        (float(scale.transform([end.y])[0]) - bottom) / ((top - bottom) or 1.0) for end in inorder
    ]
    line = _LINE_POINTS / 72 / inches
    heights = [line * (1 + bool(end.note)) for end in inorder]
    for end, here in zip(inorder, spread(wanted, heights, line / 4), strict=True):
        axis.annotate(
            style.say(axis, end.label), (end.x, end.y), xytext=(1.02, here),
            textcoords="axes fraction", fontsize=style.SMALL, color=end.colour,
            va="bottom" if end.note else "center", annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": end.colour, "alpha": 0.45, "linewidth": 0.7,
                        "shrinkA": 1, "shrinkB": 3, "relpos": (0, 0 if end.note else 0.5)},
        )  # fmt: skip
        if end.note:
            axis.annotate(
                style.say(axis, end.note), (1.02, here), (0, 0), xycoords="axes fraction",
                textcoords="offset points", fontsize=style.TINY, color=FAINT, va="top",
                annotation_clip=False,
            )  # fmt: skip


def spread(
    wanted: Sequence[float], heights: Sequence[float], beyond: float = math.inf
) -> list[float]:
    """Return ascending places, from 0 to 1, as near to the wanted as possible without overlap.

    What is placed has these heights, with its place in the middle, and reaches no further than
    `beyond` over the ends, where there is room. Least squares, by pooling
    neighbours that are too near. (Ayer et al., Annals of Mathematical Statistics 1955)
    """
    gaps = [(below + above) / 2 for below, above in pairwise(heights)]
    offsets = list(accumulate(gaps, initial=0.0))
    pools: list[tuple[float, int]] = []  # mean of the places without gaps, and how many they are
    for place, offset in zip(wanted, offsets, strict=False):
        mean, count = place - offset, 1
        while pools and pools[-1][0] > mean:
            other, many = pools.pop()
            mean, count = (mean * count + other * many) / (count + many), count + many
        pools.append((mean, count))
    means = [mean for mean, count in pools for _ in range(count)]
    if not means:
        return []
    below, above = (max(0.0, height / 2 - beyond) for height in (heights[0], heights[-1]))
    top = max(1.0 - above, below + offsets[-1])
    return [
        min(max(mean + offset, below + offset), top - (offsets[-1] - offset))
        for mean, offset in zip(means, offsets, strict=True)
    ]
