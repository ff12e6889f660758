"""Catalogues of translated messages, as gettext's PO files: one a subject, a folder a language."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel.messages import catalog

CONTEXT_END = "\4"  # between a message's context and its text, as in gettext's MO files

FOLDER = Path(__file__).parent


def key(message: catalog.Message) -> str:
    """Return the key of a message: its text, after its context if it has one."""
    return f"{message.context}{CONTEXT_END}{message.id}" if message.context else str(message.id)


@cache
def load(language: str) -> dict[str, str]:
    """Return the translation of each template; empty for a language without a folder."""
    from babel.messages import pofile

    translations = {}
    for path in sorted((FOLDER / language).glob("*.po")):
        with path.open("rb") as file:
            catalogue = pofile.read_po(file, locale=language, abort_invalid=True)
        translations.update(
            {
                key(message): message.string
                for message in catalogue
                if isinstance(message.id, str)
                and isinstance(message.string, str)
                and message.string
            }
        )
    translations.pop("", None)
    return translations
