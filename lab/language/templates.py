"""Stored English texts become messages again: by the template that a text was made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.language.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Pattern = tuple[str, re.Pattern[str]]  # a template, and the texts that it makes

# Fields that are one word, or a number; any other one is a phrase.
_NUMBERS = frozenset({"number", "used", "most"})
_WORDS = frozenset(
    {"code", "milestone", "package", "path", "place", "program", "seconds", "target", "workload"}
)


def patterns(templates: Iterable[str]) -> tuple[Pattern, ...]:
    """Return the patterns of templates, in their order."""
    return tuple((str(each), re.compile(_expression(each), re.DOTALL)) for each in templates)


def made_of(
    patterns: Iterable[Pattern], text: str, of_field: Callable[[str], object]
) -> Message | None:
    """Return the text as a message of the first template that makes it; None if none does.

    `of_field` makes each field's text a message again.
    """
    for template, pattern in patterns:
        if found := pattern.fullmatch(text):
            message = str.__new__(Message, text)
            message.template = template
            message.fields = {name: of_field(field) for name, field in found.groupdict().items()}
            return message
    return None


def _expression(template: str) -> str:
    def field(found: re.Match[str]) -> str:
        form = r"\S+" if found[1] in _WORDS else r"[\d.,]+" if found[1] in _NUMBERS else ".+"
        return f"(?P<{found[1]}>{form})"

    return re.sub(r"\\\{(\w+)\\\}", field, re.escape(template))
