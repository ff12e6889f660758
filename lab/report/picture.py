"""A picture: a figure with its finding as title, its caption, and its description.

It is drawn once, in English. Texts that are messages are remembered with what they say, so that the
same picture is written in another language. Names in Chinese letters get a font that has them.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
import warnings
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from lab import tables
from lab.errors import InvalidConfig, ReportFailed
from lab.language import choice
from lab.language.message import Language, Message, joined, translated
from lab.report import svg
from lab.report.palette import FAINT, INK
from lab.report.svg import Label

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from matplotlib.backend_bases import RendererBase

SUFFIXES = (".png", ".svg", ".pdf")
_POINTS = 72
TITLE_POINTS, CAPTION_POINTS = 12.0, 7.5
_LINE_HEIGHT = 1.3
_MARGIN_POINTS = 5.0
_HINTING = 1.04  # letters on a grid of pixels are wider than as outlines
# A line does not end between a number and its unit.
_UNIT = re.compile(r"(?<=\d) (?=(?:×|%|/s|[KMG]?i?B|[mµn]?s)(?!\w))")
_CSS_CLASSES = {Language.ENGLISH: "lang-en", Language.CHINESE: "lang-zh"}
# Fonts of Debian and Ubuntu with Chinese letters, the best first.
_CHINESE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei", "Droid Sans Fallback", "AR PL UMing CN",
)  # fmt: skip


def check_path(path: Path) -> None:
    """Raise InvalidConfig if no picture can be written to a path, for its ending or its folder."""
    if path.suffix.lower() not in SUFFIXES:
        raise InvalidConfig(f"{path}: a picture's name ends in {', '.join(SUFFIXES)}.")
    if path.is_dir():
        raise InvalidConfig(f"{path} is a folder: name a file for the picture.")
    if not path.absolute().parent.is_dir():
        raise InvalidConfig(f"{path}: there is no folder {path.absolute().parent}.")


class Picture(Figure):
    """A figure whose title is its finding.

    `finding` is the title, `caption` says n, the host and the marks, `alt` describes the picture
    for people who can't see it. `words` maps each text in the drawing to its message.
    """

    finding: Message = joined("", ())
    caption: Message = joined("", ())
    alt: Message = joined("", ())
    colours: dict[str, str]
    words: dict[str, Message]

    def __init__(self, *args: object, **settings: object) -> None:
        """Create an empty figure with the arguments of Matplotlib's Figure."""
        super().__init__(*args, **settings)  # type: ignore[arg-type]
        self.words, self.colours = {}, {}
        self._around: list[Text] = []
        self._above_points = self._below_points = 0.0

    @property
    def width(self) -> float:
        """The width in inches."""
        return float(self.get_size_inches()[0])

    def draw(self, renderer: RendererBase) -> None:
        """Draw the picture.

        Matplotlib saves in two passes. The first is for the layout, which it then turns off:
        drawing everything there as well takes as long as the second pass, and changes nothing.
        """
        engine = self.get_layout_engine()
        if isinstance(engine, ConstrainedLayoutEngine) and self.canvas.is_saving():
            engine.execute(self)
        else:
            super().draw(renderer)

    def say(self, text: str) -> str:
        """Return a text for Matplotlib to show literally, and remember its message."""
        shown = tables.plain(text)
        if isinstance(text, Message):
            self.words[shown] = text
        return shown.replace("$", r"\$")

    def frame(self, finding: Message, caption: Message, alt: Message) -> None:
        """Add the title above the drawing and the caption below it; the figure grows by them."""
        self.finding, self.caption, self.alt = finding, caption, alt
        width, height = (inches * _POINTS for inches in self.get_size_inches())
        self._around = [
            self.text(0, 0, "", fontsize=TITLE_POINTS, fontweight="bold", va="top", color=INK),
            self.text(
                0,
                0,
                "",
                fontsize=CAPTION_POINTS,
                va="bottom",
                linespacing=_LINE_HEIGHT,
                color=FAINT,
            ),
        ]
        self._write_frame(Language.ENGLISH, width, height)

    def _write_frame(self, language: Language, width: float, body: float, font: str = "") -> None:
        """Wrap title and caption to the width, and make room for them above and below the body."""
        title, caption = self._around
        room = width - 2 * _MARGIN_POINTS
        above = wrapped(translated(self.finding, language), room, TITLE_POINTS, bold=True)
        below = wrapped(translated(self.caption, language), room, CAPTION_POINTS)
        self._above_points = len(above) * TITLE_POINTS * _LINE_HEIGHT + 2 * _MARGIN_POINTS
        self._below_points = len(below) * CAPTION_POINTS * _LINE_HEIGHT + 2 * _MARGIN_POINTS
        whole = body + self._above_points + self._below_points
        self.set_size_inches(width / _POINTS, whole / _POINTS)
        title.set_text("\n".join(above).replace("$", r"\$"))
        title.set_position((_MARGIN_POINTS / width, 1 - _MARGIN_POINTS / whole))
        caption.set_text("\n".join(below).replace("$", r"\$"))
        caption.set_position((_MARGIN_POINTS / width, _MARGIN_POINTS / whole))
        if font:
            for text in self._around:
                text.set_fontfamily([font, "DejaVu Sans"])
        self.set_layout_engine(
            "constrained", rect=(0, self._below_points / whole, 1, body / whole),
            w_pad=_MARGIN_POINTS / _POINTS, h_pad=_MARGIN_POINTS / _POINTS,
        )  # fmt: skip

    def savefig(self, *args: Any, **settings: Any) -> None:
        """Write the picture to a file, with the letters of every name that it shows."""
        with _without_missing_weights(), self._fallback():
            super().savefig(*args, **settings)

    def svg(self, language: Language = Language.ENGLISH) -> str:
        """Return the drawing as an element of a page, with its texts in that language.

        It has no title and no caption: a page shows `finding` and `caption` as its own text, which
        folds to the reader's width.
        """
        texts = {shown: [Label(_text(message, language))] for shown, message in self.words.items()}
        described = [Label(_text(self.alt, language), language=language)]
        return self._inline(described, texts)

    def bilingual_svg(self) -> str:
        """Return the drawing with each text in every language, in classes lang-en and lang-zh."""
        texts = {shown: _labels(message) for shown, message in self.words.items()}
        return self._inline(_labels(self.alt), texts)

    def write(self, path: Path, language: Language = Language.ENGLISH) -> None:
        """Write the picture in the format of the file's ending. Raise ReportFailed if it can't be.

        Without a font for the language, warn and write English.
        """
        # Without a date, the same figures give the same file.
        date = {".svg": "Date", ".pdf": "CreationDate"}.get(path.suffix.lower())
        try:
            with self._in(language):
                self.savefig(path, dpi=150, metadata={date: None} if date else {})
        except OSError as error:
            raise ReportFailed(f"Can't write {path}: {error.strerror}.") from error

    def _inline(self, described: list[Label], texts: dict[str, list[Label]]) -> str:
        width, height = (inches * _POINTS for inches in self.get_size_inches())
        for text in self._around:
            text.set_visible(False)
        known = f"{self.finding}{self.alt}{self.width}"
        name = "p" + hashlib.sha256(known.encode()).hexdigest()[:6]
        try:
            drawn = self._svg_file(facecolor="none")
        finally:
            for text in self._around:
                text.set_visible(True)
        visible = (
            0.0, self._above_points, width, height - self._above_points - self._below_points,
        )  # fmt: skip
        return svg.inline(drawn, visible, name, described, texts, self.colours)

    def _svg_file(self, facecolor: str = "white") -> str:
        file = io.StringIO()
        with (
            mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "tonnage"}),
            warnings.catch_warnings(),
        ):
            # The reader's fonts show the text, not ours.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            super().savefig(file, format="svg", metadata={"Date": None}, facecolor=facecolor)
        return file.getvalue()

    @contextmanager
    def _fallback(self) -> Iterator[None]:
        """Show texts with Chinese letters, such as a user's name, in a font that has them."""
        texts = [text for text in self.findobj(Text) if isinstance(text, Text)]
        chinese = [text for text in texts if any(map(_is_wide, text.get_text()))]
        font = _chinese_font() if chinese else ""
        kept = [(text, text.get_fontfamily()) for text in chinese if font]
        for text, families in kept:
            if font not in families:
                text.set_fontfamily([*families, font])
        try:
            yield
        finally:
            for text, families in kept:
                text.set_fontfamily(families)

    @contextmanager
    def _in(self, language: Language) -> Iterator[None]:
        """Show every text in the language inside the block, if there is a font for it."""
        font = font_of(language)
        if language is Language.ENGLISH or not font:
            yield
            return
        width, height = (inches * _POINTS for inches in self.get_size_inches())
        body = height - self._above_points - self._below_points
        with _without_missing_weights(), self._fallback():
            self.draw_without_rendering()
        kept = []
        for text in self.findobj(Text):
            assert isinstance(text, Text)
            if message := self.words.get(text.get_text().replace(r"\$", "$")):
                kept.append((text, text.get_text(), text.get_fontfamily()))
                text.set_text(_text(message, language).replace("$", r"\$"))
                text.set_fontfamily([font, "DejaVu Sans"])
        self._write_frame(language, width, body, font)
        try:
            yield
        finally:
            for text, english, family in kept:
                text.set_text(english)
                text.set_fontfamily(family)
            self._write_frame(Language.ENGLISH, width, body, "DejaVu Sans")

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        kind, language = "image/svg+xml", _asked_for()
        with self._in(language):
            drawn = self._svg_file()
        return {kind: drawn}, {kind: {"alt": _text(self.alt, language)}}


def font_of(language: Language) -> str:
    """Return an installed font with the letters of the language; warn if there is none."""
    if language is Language.ENGLISH:
        return "DejaVu Sans"
    font = _chinese_font()
    if not font:
        warnings.warn(
            "no font with Chinese letters is installed: the picture stays English."
            " Install fonts-noto-cjk or fonts-wqy-microhei.",
            stacklevel=2,
        )
    return font


def _chinese_font() -> str:
    """Return an installed font with Chinese letters; empty if there is none."""
    font = _installed_font()
    if not font:
        _add_new_fonts()
        font = _installed_font()
    return font


@contextmanager
def _without_missing_weights() -> Iterator[None]:
    """Keep Matplotlib from logging that a Chinese font has no bold letters: it takes the others."""
    log = logging.getLogger("matplotlib.font_manager")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _installed_font() -> str:
    installed = set(font_manager.get_font_names())
    return next((name for name in _CHINESE_FONTS if name in installed), "")


@cache
def _add_new_fonts() -> None:
    """Add fonts that were installed after Matplotlib made its list, which it keeps for ever."""
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in set(font_manager.findSystemFonts()) - known:
        with suppress(OSError, RuntimeError, ValueError):  # no font that Matplotlib can read
            font_manager.fontManager.addfont(path)


def wrapped(text: str, points: float, size: float, *, bold: bool = False) -> list[str]:
    """Return the text in lines that are at most so many points wide in the picture's font."""
    lines, line = [], ""
    for word in _words(_UNIT.sub("\N{NO-BREAK SPACE}", tables.plain(text))):
        if line and _width(line + word.rstrip(), size, bold=bold) > points:
            lines.append(line.rstrip())
            line = ""
        line += word
    return [*lines, line.rstrip()] if line.strip() else lines


def _words(text: str) -> Iterator[str]:
    """Yield pieces after which a line may end: words, and single Chinese letters."""
    word = ""
    for letter in text:
        may_end = word.endswith(" ") or (_is_wide(letter) and letter not in "，。；：、）")
        if word and may_end and not word.endswith("（"):
            yield word
            word = ""
        word += letter
    if word:
        yield word


def _width(text: str, size: float, *, bold: bool) -> float:
    wide = sum(map(_is_wide, text))
    narrow = "".join(letter for letter in text if not _is_wide(letter))
    font = FontProperties(size=size, weight="bold" if bold else "normal")
    measured = text_to_path.get_text_width_height_descent(narrow, font, ismath=False)[0]
    return _HINTING * float(measured) + wide * size


def _is_wide(letter: str) -> bool:
    return letter >= "⺀"


def _text(message: str, language: Language) -> str:
    return tables.plain(translated(message, language))


def _labels(message: str) -> list[Label]:
    return [Label(_text(message, each), _CSS_CLASSES[each], each) for each in Language]


def _asked_for() -> Language:
    """Return the language of $TONNAGE_LANG; English if it names none."""
    tag = choice.at_hand()[:2]
    return Language(tag) if tag in tuple(Language) else Language.ENGLISH
