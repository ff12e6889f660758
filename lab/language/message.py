"""Sentences that can be read in several languages.

A `Message` is its English text, so that code which knows nothing of languages prints it as it is.
It also keeps the template and the fields that it was made of, from which `translated` makes the
sentence of another language. Every text that people can read in another language is written once,
as the literal template of a Message; the catalogues in `lab/language/zh/` hold its translation.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from lab.language import catalogue, text_width
from lab.language.catalogue import CONTEXT_END

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import LiteralString


# A template has spaces around a field for names in Latin letters; between Chinese ones none stand.
_CHINESE = "[\u2e80-\u9fff\uff00-\uffef]"
_FULL_STOPS = ".。"
_BETWEEN_CHINESE = re.compile(f"(?<={_CHINESE}) +(?={_CHINESE})")


class Language(StrEnum):
    """A language of tables, verdicts and pages, by its tag. (BCP 47)"""

    ENGLISH = "en"
    CHINESE = "zh"


class Message(str):
    """An English sentence that can be translated.

    `Message("{name} is ready", name=target)` is the string "container is ready". Templates are
    those of str.format. A field that is a Message is translated with it.
    """

    __slots__ = ("fields", "template")
    template: str
    fields: dict[str, object]

    def __new__(cls, template: LiteralString, /, **fields: object) -> Message:
        """Return the message of that template, with its fields put in."""
        message = super().__new__(cls, template.format(**fields) if fields else template)
        message.template = template
        message.fields = fields
        return message


class _Joined(Message):
    """Texts one after the other, each translated by itself; the template is their separator."""

    __slots__ = ("parts",)
    parts: list[str]


def recalled(text: str) -> Message:
    """Return a stored English text as a message: translated if its template had no fields."""
    message = str.__new__(Message, text)
    message.template, message.fields = text, {}
    return message


def in_context(context: LiteralString, text: LiteralString) -> Message:
    """Return the message of a text that other languages have several words for.

    The context, gettext's msgctxt, is part of the key in the catalogue.
    """
    message = str.__new__(Message, text)
    message.template, message.fields = f"{context}{CONTEXT_END}{text}", {}
    return message


class _Shortened(Message):
    """A message that is cut to a width, in each language by itself."""

    __slots__ = ("cells", "whole")
    cells: int
    whole: Message


def shortened(message: Message, cells: int) -> Message:
    """Return a message that takes at most so many cells, an ellipsis at its end included.

    A Chinese letter takes two cells.
    """
    cut = str.__new__(_Shortened, text_width.cut(str(message), cells))
    cut.template, cut.fields, cut.whole, cut.cells = (
        message.template,
        message.fields,
        message,
        cells,
    )
    return cut


class _Clause(Message):
    """A sentence without its full stop, in each language."""

    __slots__ = ("whole",)
    whole: Message


def clause(message: Message) -> Message:
    """Return a sentence as a part of another one: without a full stop."""
    cut = str.__new__(_Clause, message.rstrip(_FULL_STOPS))
    cut.template, cut.fields, cut.whole = message.template, message.fields, message
    return cut


def capitalized(text: str) -> str:
    """Return the text with a capital first letter in English."""
    capital = text[:1].upper() + text[1:]
    if not isinstance(text, Message) or isinstance(text, _Joined):
        return capital
    message = str.__new__(Message, capital)
    message.template, message.fields = text.template, text.fields
    return message


def joined(separator: str, texts: Iterable[str]) -> Message:
    """Return texts and messages as one message. A separator that is a Message is translated."""
    parts = list(texts)
    message = str.__new__(_Joined, separator.join(parts))
    message.template, message.fields, message.parts = separator, {}, parts
    return message


def translated(text: str, language: Language) -> str:
    """Return the text in that language; in English, where it is no Message or not translated."""
    if not isinstance(text, Message):
        return text
    if language is Language.ENGLISH:
        return str(text)
    if isinstance(text, _Shortened):
        return text_width.cut(translated(text.whole, language), text.cells)
    if isinstance(text, _Clause):
        return translated(text.whole, language).rstrip(_FULL_STOPS)
    if isinstance(text, _Joined):
        return translated(text.template, language).join(
            translated(part, language) for part in text.parts
        )
    template = catalogue.load(language).get(text.template)
    if not text.fields or template is None:
        return template or str(text)
    fields = {
        name: translated(field, language) if isinstance(field, Message) else field
        for name, field in text.fields.items()
    }
    return closed_up(template.format(**fields))


def closed_up(text: str) -> str:
    """Return the text without spaces between Chinese letters."""
    return _BETWEEN_CHINESE.sub("", text)
