"""Shared parts of a class's notebooks: their run, their student, text in both languages.

TONNAGE_RUN        the run, as for the verbs of `tonnage class` (lab.classroom.class_run)
TONNAGE_STUDENT    the student's name, by which the questions' numbers are drawn; else "demo"
TONNAGE_LANG       en or zh: the only language of the text; else both
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lab import tables, units
from lab.analysis import provenance
from lab.classroom import class_run, students
from lab.classroom.exercises import wording
from lab.errors import NotFound
from lab.language.message import Language, Message, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lab.results.run_folder import Run

DEMO_STUDENT = "demo"

_RANGE = re.compile(r"(?<=\w) – (?=\d)")
Phrase = tuple[str, str]  # in English, and in Chinese


class NoRun(NotFound):
    """There is no run to read; a notebook shows the sentence without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def run(*experiments: str) -> Run:
    """Return the run that the notebook is about, which has figures of these experiments.

    Raise NoRun if its folder holds none, or if the run lacks one of them.
    """
    try:
        found = class_run.load()
    except NotFound as error:
        raise NoRun(str(error)) from error
    if missing := [name for name in experiments if name not in provenance.measured(found)]:
        raise NoRun(
            f"The run {found.path.name} has no figures of {', '.join(missing)}, which this notebook"
            f" needs: set {class_run.RUN_VARIABLE} to the folder of another run."
        )
    return found


def committed_run(name: str) -> Path:
    """Return the folder of a run, or of a calibration, that the project keeps. Raise NoRun."""
    try:
        return class_run.named(name)
    except NotFound as error:
        raise NoRun(str(error)) from error


def student() -> str:
    """Return the student's name."""
    return os.environ.get(students.VARIABLE) or DEMO_STUDENT


def file(name: str, text: str, about: Run) -> Path:
    """Write a text to a temporary file, with the run's folder in place of RUN; return its path."""
    path = Path(_folder().name) / name
    path.write_text(text.replace("RUN", _in_quotes(about.path.resolve())), encoding="utf-8")
    return path


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is removed when the notebook's kernel ends."""
    return tempfile.TemporaryDirectory(prefix="tonnage-")


def _in_quotes(path: Path) -> str:
    """Return a path as it stands between the quotes of a TOML string."""
    return json.dumps(str(path), ensure_ascii=False)[1:-1]


class Text:
    """Markdown that a notebook shows formatted, and a terminal as it is."""

    def __init__(self, markdown: str) -> None:
        self.markdown = markdown

    def _repr_markdown_(self) -> str:
        return self.markdown

    def __repr__(self) -> str:
        return self.markdown


def conditions(run: Run) -> Text:
    """Return the host and the settings of the run, which say whether its machines were emulated."""
    return Text("\n\n".join(tables.literal(each) for each in _lines(run)))


def _lines(run: Run) -> list[str]:
    line = provenance.line(run)
    return list(dict.fromkeys(translated(line, language) for language in wording.languages()))


def say(english: str, chinese: str, **fields: object) -> Text:
    """Return a paragraph in the languages of the class; {names} in it stand for the fields.

    The paragraph is Markdown, the fields are shown literally.
    """
    paragraphs = []
    for phrase, language in zip((english, chinese), Language, strict=True):
        if language in wording.languages():
            shown = {name: _literal(field, language) for name, field in fields.items()}
            paragraphs.append(phrase.format(**shown))
    return Text("\n\n".join(paragraphs))


def told(part: Callable[[Language], str]) -> Text:
    """Return a part of a report, which is Markdown, in the languages of the class."""
    parts = dict.fromkeys(part(language) for language in wording.languages())
    return Text(_unbroken("\n\n".join(parts)))


def _unbroken(text: str) -> str:
    """Return a text whose intervals and numbers with units stay on one line of a narrow table."""
    return units.unbroken(_RANGE.sub("\u00a0–\u00a0", text))


def _literal(field: object, language: Language) -> str:
    return tables.literal(translated(field if isinstance(field, str) else str(field), language))


def table(headings: Sequence[str | Phrase], rows: Iterable[Sequence[object]]) -> Text:
    """Return a table. A heading or a cell that is a phrase or a message stands in all languages."""
    body = [[_word(cell) for cell in row] for row in rows]
    lines = tables.markdown([tables.literal(_word(each)) for each in headings], body)
    return Text(_unbroken("\n".join(lines)))


def _word(value: object) -> str:
    if isinstance(value, tuple):
        return " / ".join(dict.fromkeys(_spoken(value)))
    if isinstance(value, Message):
        spoken = (translated(value, language) for language in wording.languages())
        return " / ".join(dict.fromkeys(spoken))
    return str(value)


def _spoken(phrase: tuple[str, ...]) -> list[str]:
    """Return the phrase in each language of the class."""
    return [phrase[[*Language].index(language)] for language in wording.languages()]
