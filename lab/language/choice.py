"""The languages that somebody chose, by an option or by $TONNAGE_LANG."""

from __future__ import annotations

import os

from lab.language.message import Language

VARIABLE = "TONNAGE_LANG"
BOTH = "both"
CHOICES = {**{language.value: (language,) for language in Language}, BOTH: tuple(Language)}


def at_hand() -> str:
    """Return $TONNAGE_LANG, whatever it is; "both" without it."""
    return os.environ.get(VARIABLE) or BOTH
