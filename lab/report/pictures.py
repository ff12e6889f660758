"""Pictures as parts of the page: inline, with titles and captions as text of the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from lab.report import style

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.language.message import Language
    from lab.report.picture import Picture
    from lab.results.run_folder import Run


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture as SVG, with its finding as title and its caption; `narrow` is for a telephone."""

    title: str
    caption: str
    svg: Markup
    narrow: Markup


def drawn(
    draw: Callable[[Run, float], Picture], run: Run, languages: tuple[Language, ...]
) -> Drawn:
    """Return a picture in the languages of the page, at both widths."""
    wide, narrow = (draw(run, width) for width in (style.WIDTH, style.NARROW))
    return Drawn(wide.finding, wide.caption, _svg(wide, languages), _svg(narrow, languages))


def _svg(picture: Picture, languages: tuple[Language, ...]) -> Markup:
    return Markup(picture.bilingual_svg() if len(languages) > 1 else picture.svg(languages[0]))
