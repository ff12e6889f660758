"""Sentences about images, whose names and messages come from others."""

from __future__ import annotations

import sys


def note(text: str) -> None:
    """Print a note to standard error."""
    print(f"tonnage: {on_one_line(text)}", file=sys.stderr)


def ignore(_: str) -> None:
    """Print nothing."""


def on_one_line(text: str) -> str:
    """Return a text with its control characters escaped: an image or a registry may hold any."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
