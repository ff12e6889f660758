"""Every picture of a report by name, and the texts of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.text import Text

from lab.report import delivery, isolation_and_density, overview, startup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAW = {
    **{
        name: getattr(overview, name)
        for name in ("startup", "footprint", "density", "near_native", "overview")
    },
    "waterfall": startup.waterfall,
    "burst": startup.burst,
    "idle": isolation_and_density.idle,
    "answers": isolation_and_density.answers,
    "isolation": isolation_and_density.isolation,
    "delivery": delivery.operations,
}


def words(figure: Figure) -> str:
    """Return the visible texts of the figure, each on a line."""
    figure.draw_without_rendering()
    return "\n".join(
        text.get_text().replace("\n", " ")
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible()
    )
