"""Rows of a picture: names at the left of the marks, or above them in a narrow picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.report import style
from lab.report.palette import FAINT, GRID, INK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

_NAME_INCHES = 0.2


@dataclass(frozen=True, slots=True)
class Rows:
    """The height of each row, and the share of it that the name takes above the marks."""

    inches: float
    heading: float

    def y(self, row: int, offset: float = 0.0) -> float:
        """Return where a mark lies: in the middle of the marks, or by a share of them below."""
        return row + self.heading / 2 + offset * (1 - self.heading)

    def label(
        self, axis: Axes, names: Sequence[str], notes: Sequence[str] = (), size: float = 9.0
    ) -> None:
        """Label the rows, the first at the top, each with a faint note beside or below its name."""
        if not self.heading:
            style.label_rows(axis, names, notes, size)
            return
        style.label_rows(axis, [""] * len(names))
        for row, name in enumerate(names):
            if row:
                axis.axhline(row - 0.5, color=GRID, linewidth=0.8, zorder=0)
            note = notes[row] if row < len(notes) else ""
            y = row - 0.5 + self.heading / 2
            for text, x, side, colour in ((name, 0, "left", INK), (note, 1, "right", FAINT)):
                if text:
                    axis.annotate(
                        style.say(axis, text),
                        (x, y),
                        xycoords=("axes fraction", "data"),
                        ha=side,
                        va="center",
                        fontsize=style.SMALL,
                        color=colour,
                        annotation_clip=False,
                    ).set_in_layout(False)  # it may reach over the panels at the right


def rows(inches: float, width: float) -> Rows:
    """Return rows whose marks are so many inches high, for a picture of that width."""
    if not style.is_narrow(width):
        return Rows(inches, 0.0)
    whole = inches + _NAME_INCHES
    return Rows(whole, _NAME_INCHES / whole)
