"""The host's record for people: the table of `tonnage doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import tables
from lab.analysis.stored_texts import stored
from lab.language.message import Language, Message

if TYPE_CHECKING:
    from rich.text import Text

    from lab.host.facts import Fact
    from lab.measurement.host_record import HostRecord

_MARKS = {"ok": ("✓", "green"), "limited": ("!", "yellow"), "missing": ("✗", "red")}
_STATES = {
    "ok": Message("ok"),
    "limited": Message("limited"),
    "missing": Message("missing"),
}
_HEADINGS = (Message("subject"), Message("value"), Message("meaning"))


def show(record: HostRecord, language: Language = Language.ENGLISH) -> None:
    """Print the host's facts as a table on standard output."""
    from rich.console import Console

    rows: list[tuple[str | Text, ...]] = [
        (tables.cell(*_MARKS[fact.state]), *_words(fact)) for fact in record.facts
    ]
    Console().print(tables.folding(("", *_HEADINGS), rows, language=language))


def markdown(record: HostRecord, language: Language = Language.ENGLISH) -> list[str]:
    """Return the host's facts as the lines of a Markdown table."""
    rows = [(_STATES[fact.state], *_words(fact)) for fact in record.facts]
    return tables.markdown((Message("state"), *_HEADINGS), rows, language)


def _words(fact: Fact) -> tuple[Message, ...]:
    return stored(fact.name), stored(fact.value), stored(fact.meaning)
