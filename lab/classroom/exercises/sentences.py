"""Answers in words: a sentence about an interval.

Figures and words are looked for, in English or Chinese; what the sentence means is the teacher's to
judge. A sentence can get all points and be wrong, and the documentation says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab import units
from lab.classroom.exercises.question import Key, Mark, sentences
from lab.classroom.exercises.reading import plain, quantities
from lab.language.message import Message

ROUNDING = 0.03  # of an end of an interval that is quoted


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a sentence that gets points: a figure, or one of several words.

    `missing` says what to add. `pattern` is of the text in lower case; `against` matches words that
    say the opposite.
    """

    missing: Message
    value: float | None = None
    unit: str = ""
    pattern: str = ""
    against: str = ""

    def is_in(self, answer: str) -> bool:
        """Return True if the sentence has the figure or the word."""
        if self.value is not None:
            around = abs(self.value) * ROUNDING
            given = (each.in_base(self.unit) for each in quantities(answer))
            return any(
                value is not None and abs(value - self.value) <= around for value in given
            ) or self._is_bare(answer)
        words = plain(answer, longest=2000)
        if self.against and re.search(self.against, words):
            return False
        return bool(re.search(self.pattern, words))

    def _is_bare(self, answer: str) -> bool:
        """Return True for a factor or a share that is written without ×."""
        if self.value is None or self.unit != "ratio":
            return False
        around = abs(self.value) * ROUNDING
        return any(
            abs(each.number - self.value) <= around
            for each in quantities(answer)
            if each.kind() in (None, "integer")
        )


@dataclass(frozen=True, slots=True)
class Explanation(Key):
    """A sentence with several parts, each worth the same; `sample` is one with all of them."""

    parts: tuple[Part, ...]
    sample: Message

    def check(self, answer: object) -> Mark:
        """Return the share of the parts that the sentence has."""
        if not isinstance(answer, str):
            return Mark(0.0, self.form())
        missing = [part.missing for part in self.parts if not part.is_in(answer)]
        if not missing:
            return Mark(
                1.0, Message("Figures and words are there; the teacher reads the sentence.")
            )
        share = 1 - len(missing) / len(self.parts)
        reason = Message("Something is missing.")
        for each in missing:
            reason = sentences(reason, each)
        return Mark(share, reason)

    def form(self) -> Message:
        """Return how an explanation is written."""
        return Message("Write one or two sentences, in English or Chinese, with figures and units.")

    def solution(self) -> Message:
        """Return a sentence that has all parts."""
        return self.sample

    def example(self) -> str:
        """Return the same sentence in English."""
        return str(self.sample)


def ends(low: float, high: float, unit: str) -> tuple[Part, Part]:
    """Return the parts that quote the ends of an interval."""
    return (
        Part(Message("Name the lower end of the interval, with its unit."), low, unit),
        Part(Message("Name the upper end of the interval, with its unit."), high, unit),
    )


def shown(value: float, unit: str) -> str:
    """Return a figure for a sentence."""
    return units.quantity(value, unit)
