"""The picture of disk space: an image as shipped and on disk, and one more instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import units
from lab.language.message import Message
from lab.report import bars, findings, style

if TYPE_CHECKING:
    from lab.report.picture import Picture
    from lab.results.run_folder import Run

_PANELS = {
    "image-compressed": Message("image, shipped"),
    "image-on-disk": Message("image, on disk"),
    "instance-disk": Message("one more instance"),
}


def draw(run: Run, width: float = style.WIDTH) -> Picture:
    """Draw the bytes of the image as shipped and on disk, and of one more instance."""
    picture = bars.draw(run, "footprint", _PANELS, columns=3, width=width)
    found = bars.measured(run, "footprint", _PANELS)
    values = [
        Message(
            "{target}, {what}: {value}", target=style.named(target, run), what=_PANELS[metric],
            value=units.quantity(each.median, each.unit),
        )
        for (target, metric), each in found.items()
    ]  # fmt: skip
    conditions = [
        Message("bar: median; line: 95 % interval, none for a count"),
        style.counts(bars.rounds(found), run),
    ]
    return style.finish(picture, run, findings.disk(run), values, conditions)
