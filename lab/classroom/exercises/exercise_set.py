"""The questions of a notebook about a run, for one student.

    questions = exercises.questions("near-native", run, student="2026-017", language="both")
    questions                       # in a notebook: shows them
    questions.check(1, "1.04 ×")    # shows points and a reason

Each student gets other targets, figures and orders, decided by the ID alone.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lab.classroom import students
from lab.classroom.exercises import facts, wording
from lab.classroom.exercises.draw import Draw
from lab.classroom.exercises.question import LeftOut
from lab.errors import NotFound
from lab.language.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.classroom.exercises.question import Question
    from lab.language.message import Language
    from lab.results.run_folder import Run

# The notebooks with questions, in the order of a course, and the module of each one's questions.
NOTEBOOKS = {
    name: f"lab.classroom.exercises.topics.{name.replace('-', '_')}"
    for name in (
        "containers-vs-vms",
        "inside-a-container",
        "inside-a-machine",
        "where-the-time-goes",
        "near-native",
        "how-many-fit",
        "images",
        "trust",
    )
}


@dataclass(frozen=True, slots=True)
class Result:
    """The points of an answer; a notebook shows them as a line."""

    number: int
    name: str
    points: float
    of: int
    reason: Message
    languages: tuple[Language, ...]

    @property
    def right(self) -> bool:
        """True with full points."""
        return self.points >= self.of

    def document(self) -> dict[str, Any]:
        """Return the result as JSON data."""
        return {
            "number": self.number,
            "question": self.name,
            "points": self.points,
            "of": self.of,
            "reason": str(self.reason),
        }

    def __str__(self) -> str:
        return f"{self.points:g} / {self.of}: {wording.in_languages(self.reason, self.languages)}"

    def _repr_markdown_(self) -> str:
        points = f"**{self.points:g} / {self.of}**"
        return f"{points}: {wording.in_languages(self.reason, self.languages)}"


class Questions:
    """The questions of one student, numbered from 1.

    A number stands for the same subject in every run: questions that a run can't ask keep theirs.
    """

    def __init__(
        self,
        notebook: str,
        student: str,
        languages: tuple[Language, ...],
        asked: Mapping[int, Question],
        left_out: Mapping[int, tuple[str, Message]],
    ) -> None:
        self.notebook = notebook
        self.student = student
        self.languages = languages
        self.left_out = dict(left_out)
        self._asked = dict(asked)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the questions that this run can ask."""
        return tuple(self._asked)

    def __len__(self) -> int:
        return len(self._asked)

    def __iter__(self) -> Iterator[wording.Shown]:
        return (self[number] for number in self._asked)

    def __getitem__(self, number: int) -> wording.Shown:
        """Return one question as Markdown, which a notebook shows."""
        if number in self.left_out:
            return wording.Shown(wording.omitted([self.left_out[number]], self.languages))
        return wording.Shown(wording.question(number, self.question(number), self.languages))

    def question(self, number: object) -> Question:
        """Return the question of that number. Raise NotFound."""
        if isinstance(number, bool) or not isinstance(number, int):
            raise NotFound(f"{number!r} is not the number of a question: write 1, for example.")
        if number not in self._asked:
            raise NotFound(
                f"There is no question {number} in {self.notebook}:"
                f" there are {', '.join(map(str, self._asked)) or 'none'}."
            )
        return self._asked[number]

    def check(self, number: int, answer: object = None) -> Result:
        """Return the points of an answer, and the reason. None says how to answer.

        A question that this run can't ask has 0 points of 0. Raise NotFound if there is no question
        of that number.
        """
        if number in self.left_out and not isinstance(number, bool):
            name, reason = self.left_out[number]
            return Result(number, name, 0.0, 0, reason, self.languages)
        question = self.question(number)
        mark = question.check(answer)
        points = round(mark.share * question.points * 4) / 4
        return Result(number, question.name, points, question.points, mark.reason, self.languages)

    def answers(self) -> wording.Shown:
        """Return the table of answers and points, for the teacher."""
        return wording.Shown(wording.answers(self._asked, self.languages))

    def _repr_markdown_(self) -> str:
        parts = list(self)
        if self.left_out:
            parts.append(
                wording.Shown(wording.omitted(list(self.left_out.values()), self.languages))
            )
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        return f"<{len(self)} questions of {self.notebook} for {self.student or 'nobody'}>"


def questions(
    notebook: str, run: Run, student: str | None = None, language: str | None = None
) -> Questions:
    """Return the questions of a notebook about a run.

    `student` None is $TONNAGE_STUDENT, else "": the questions of nobody in particular. `language`
    is en, zh or both; None is $TONNAGE_LANG, else both. Raise NotFound for another notebook,
    InvalidConfig for another language.
    """
    if notebook not in NOTEBOOKS:
        raise NotFound(
            f"There are no questions for the notebook {notebook!r}; there are for"
            f" {', '.join(NOTEBOOKS)}."
        )
    if student is None:
        student = os.environ.get(students.VARIABLE, "")
    languages = wording.languages(language)
    student = unicodedata.normalize("NFC", student).strip()
    known = facts.of(run)
    asked, left_out = {}, {}
    for number, make in enumerate(import_module(NOTEBOOKS[notebook]).QUESTIONS, 1):
        name = make.__name__.replace("_", "-")
        try:
            asked[number] = make(known, Draw(notebook, name, student))
        except LeftOut as reason:
            left_out[number] = (name, reason.reason)
    return Questions(notebook, student, languages, asked, left_out)
