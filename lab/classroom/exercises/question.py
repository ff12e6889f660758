"""A question with its answer, and the result of a check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.language.message import Message, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

POINTS = 4  # of each question; a part of them for an answer that is right in part


class LeftOut(Exception):
    """A question can't be asked about this run; its text is the reason, a Message."""

    def __init__(self, reason: Message) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Mark:
    """A share of the points, from 0 to 1, and the reason."""

    share: float
    reason: Message


class Key(ABC):
    """The right answers of one kind of question."""

    @abstractmethod
    def check(self, answer: object) -> Mark:
        """Return what the answer gets. Any object may be given; none raises an error."""

    @abstractmethod
    def form(self) -> Message:
        """Return how an answer is written."""

    @abstractmethod
    def solution(self) -> Message:
        """Return the right answer, for the teacher."""

    @abstractmethod
    def example(self) -> str:
        """Return an answer that gets all points, as a student would write it."""

    def choices(self) -> Sequence[tuple[str, Message]]:
        """Return the letters and texts that a student chooses from; empty for other kinds."""
        return ()


@dataclass(frozen=True, slots=True)
class Question:
    """A question of one student about one run.

    `name` stands for it in files of results: it is the same for all students, unlike its number.
    `why` is what the answer shows; it is told with full points.
    """

    name: str
    text: Message
    key: Key
    why: Message
    points: int = POINTS

    def check(self, answer: object) -> Mark:
        """Return what the answer gets, with the explanation if it is right."""
        if answer is None or (isinstance(answer, str) and not answer.strip()):
            return Mark(0.0, sentences(NO_ANSWER, self.key.form()))
        mark = self.key.check(answer)
        return Mark(1.0, sentences(mark.reason, self.why)) if mark.share >= 1 else mark


NO_ANSWER = Message("There is no answer yet.")


def sentences(first: Message, second: Message) -> Message:
    """Return two sentences one after the other, as the language puts them."""
    return Message("{first} {second}", first=first, second=second)


def listed(pairs: Sequence[tuple[str, Message]]) -> Message:
    """Return letters with their texts in one line."""
    return joined("; ", [joined(" ", [letter, text]) for letter, text in pairs])
