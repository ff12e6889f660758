"""Texts as HTML, in one language or in every language of a page, and the templates of the page.

With two languages each text stands there twice, in elements of the classes `lang-en` and `lang-zh`,
of which the page's style shows one. A text that is the same in both stands there once.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lab import tables, units
from lab.language.message import Language, translated
from lab.report import words

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

FOLDER = Path(__file__).parent / "templates"
ENGLISH = (Language.ENGLISH,)
BOTH = (Language.ENGLISH, Language.CHINESE)
_KEPT_TEXTS = 8192
# The markup of texts that stand in the code: `code`, **strong**, and links within the page.
_CODE, _STRONG = re.compile(r"`([^`]+)`"), re.compile(r"\*\*([^*]+)\*\*")
_LINK = re.compile(r"\[([^\]]+)\]\((#[\w-]+)\)")


@cache
def environment(languages: tuple[Language, ...]) -> Environment:
    """Return the templates with their filters: `text`, `marked` and `day`, in the languages."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["text"] = lambda message: text(message, languages)
    made.filters["marked"] = lambda message: marked(message, languages)
    made.filters["day"] = lambda date: day(date, languages)
    made.globals.update(languages=languages, words=words, script=_script)
    return made


def render(template: str, languages: tuple[Language, ...], /, **values: object) -> Markup:
    """Return a template with values put in, as HTML that is not escaped again."""
    return Markup(environment(languages).get_template(template).render(values))


def text(message: str, languages: tuple[Language, ...]) -> Markup:
    """Return a text literally, whatever characters it holds."""
    return _shown(tuple(translated(message, language) for language in languages), languages)


@lru_cache(maxsize=_KEPT_TEXTS)
def _shown(texts: tuple[str, ...], languages: tuple[Language, ...]) -> Markup:
    """Return a text that is given in each language. The cells of tables repeat."""
    in_language = dict(zip(languages, texts, strict=True))
    return _each(
        lambda language: escape(units.unbroken(tables.plain(in_language[language]))), languages
    )


def marked(message: str, languages: tuple[Language, ...]) -> Markup:
    """Return a text of the code, with its markup. A text with fields would need `text`."""
    return _each(lambda language: _inline(translated(message, language)), languages)


def day(date: datetime.date, languages: tuple[Language, ...]) -> Markup:
    """Return a date as each language writes it."""
    from babel.dates import format_date

    return _each(
        lambda language: escape(format_date(date, "long", locale=_LOCALES[language])), languages
    )


def _script(name: str) -> Markup:
    """Return a style sheet or a script, which stands in the page as it is."""
    return Markup((FOLDER / name).read_text(encoding="utf-8"))


_LOCALES = {Language.ENGLISH: "en_GB", Language.CHINESE: "zh_CN"}


def _each(shown: Callable[[Language], Markup], languages: tuple[Language, ...]) -> Markup:
    texts = {language: shown(language) for language in languages}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return Markup().join(
        Markup("<span class=lang-{0} lang={0}>{1}</span>").format(language, shown)
        for language, shown in texts.items()
    )


def _inline(source: str) -> Markup:
    html = str(escape(units.unbroken(source)))
    html = _CODE.sub(r"<code>\1</code>", html)
    html = _STRONG.sub(r"<strong>\1</strong>", html)
    return Markup(_LINK.sub(r'<a href="\2">\1</a>', html))
