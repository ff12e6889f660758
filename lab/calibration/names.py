"""Names of a calibration's trials, and of what the harness was timed with."""

from __future__ import annotations

from functools import cache

from lab.language import templates
from lab.language.message import Message, recalled

START, COMMAND = Message("a start"), Message("a command")
_FORMS = (
    Message("{target} against itself, fixed work"),
    Message("{target} against itself, starts"),
    Message("{target} against itself, to a precision of {precision}"),
    Message("a slow-down of {size}, to a precision of {precision}"),
    Message("time added to {what}"),
)


def work_against_itself(target: str) -> Message:
    """Return the name of a trial of fixed work."""
    return Message("{target} against itself, fixed work", target=target)


def starts_against_itself(target: str) -> Message:
    """Return the name of a trial of starts."""
    return Message("{target} against itself, starts", target=target)


def precision_against_itself(target: str, precision: float) -> Message:
    """Return the name of a trial that ends at a precision, a share."""
    return Message(
        "{target} against itself, to a precision of {precision}",
        target=target,
        precision=f"{precision:.0%}",
    )


def slow_down(size: float) -> Message:
    """Return the name of a trial with an injected slow-down, a share, to the same precision."""
    return Message(
        "a slow-down of {size}, to a precision of {precision}",
        size=f"{size:.0%}",
        precision=f"{size:.0%}",
    )


def time_added(what: str) -> Message:
    """Return the name of the bound on the time that the harness adds."""
    return Message("time added to {what}", what=what)


def stored(name: str) -> Message:
    """Return a name of a stored calibration as a message."""
    return templates.made_of(_patterns(), name, stored) or recalled(name)


@cache
def _patterns() -> tuple[templates.Pattern, ...]:
    return templates.patterns(_FORMS)
