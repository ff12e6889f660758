"""Answers that choose: one of several, or an order of several."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from lab.classroom.exercises.question import Key, Mark, listed
from lab.classroom.exercises.reading import plain
from lab.language.message import Language, Message, joined, translated

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lab.classroom.exercises.draw import Draw

LETTERS = "ABCDEFGH"
_BETWEEN = re.compile(r"\s*[;,<>、→]\s*|\s+-\s+")  # in an order of texts


@dataclass(frozen=True, slots=True)
class Options:
    """Texts with letters, in an order that the student's ID decides."""

    texts: tuple[Message, ...]

    def pairs(self) -> list[tuple[str, Message]]:
        """Return the letters and their texts."""
        return list(zip(LETTERS, self.texts, strict=False))

    def place(self, answer: object) -> int | None:
        """Return the place of an answer, a letter or a text in any language; None if it is none."""
        if not isinstance(answer, str):
            return None
        words = _bare(answer)
        letter = re.fullmatch(r"[(\[]?([a-h])[)\].:]?", words)
        if letter:
            place = LETTERS.lower().index(letter[1])
            return place if place < len(self.texts) else None
        return next((place for name, place in self._names() if words == name), None)

    def places(self, words: str) -> list[int] | None:
        """Return the places of texts one after the other; None if something else is among them.

        The texts may hold commas themselves, so each is looked for as a whole, the longest first.
        """
        names = sorted(self._names(), key=lambda each: -len(each[0]))
        left, found = _bare(words), []
        while left:
            for name, place in names:
                between = _BETWEEN.match(left, len(name))
                if name and left.startswith(name) and (between or left == name):
                    found.append(place)
                    left = left[between.end() :] if between else ""
                    break
            else:
                return None
        return found

    def _names(self) -> list[tuple[str, int]]:
        """Return the texts in all languages, as answers are compared with them."""
        return [
            (_bare(translated(text, language)), place)
            for place, text in enumerate(self.texts)
            for language in Language
        ]


def _bare(text: str) -> str:
    return plain(text, longest=400).replace("`", "").replace("\\", "").strip(" .'\"")


@dataclass(frozen=True, slots=True)
class Choice(Key):
    """One of several texts is right. `hints` are told for those that are wrong, by their place."""

    options: Options
    right: int
    hints: tuple[Message | None, ...]

    @classmethod
    def of(
        cls, draw: Draw, right: Message, *wrong: tuple[Message, Message | None] | Message
    ) -> Choice:
        """Return the choice in an order of the draw; a wrong text may come with its hint."""
        pairs = [each if isinstance(each, tuple) else (each, None) for each in wrong]
        order = draw.shuffled([(right, None), *pairs])
        texts = tuple(text for text, _ in order)
        return cls(Options(texts), texts.index(right), tuple(hint for _, hint in order))

    def check(self, answer: object) -> Mark:
        """Return all points for the right text, none for another."""
        place = self.options.place(answer)
        if place is None:
            return Mark(0.0, Message("This is none of the choices. {form}", form=self.form()))
        if place == self.right:
            return Mark(1.0, Message("Right."))
        return Mark(0.0, self.hints[place] or Message("Not right."))

    def form(self) -> Message:
        """Return how a choice is written."""
        return Message("Write one letter, such as 'A'.")

    def solution(self) -> Message:
        """Return the letter and the text."""
        return joined(" ", self.options.pairs()[self.right])

    def example(self) -> str:
        """Return the letter."""
        return LETTERS[self.right]

    def choices(self) -> Sequence[tuple[str, Message]]:
        """Return the letters and texts."""
        return self.options.pairs()


@dataclass(frozen=True, slots=True)
class Ordering(Key):
    """Several texts in the right order. `ties` are pairs of places that may come either way."""

    options: Options
    order: tuple[int, ...]
    ties: frozenset[frozenset[int]] = frozenset()

    @classmethod
    def of(
        cls, draw: Draw, texts: Sequence[Message], ties: Collection[tuple[int, int]] = ()
    ) -> Ordering:
        """Return the key for texts in their right order; `ties` are pairs of places in it."""
        shown = draw.shuffled(range(len(texts)))
        places = {first: place for place, first in enumerate(shown)}
        return cls(
            Options(tuple(texts[first] for first in shown)),
            tuple(places[first] for first in range(len(texts))),
            frozenset(frozenset((places[one], places[other])) for one, other in ties),
        )

    def check(self, answer: object) -> Mark:
        """Return the share of pairs in the right order; below half of them, nothing."""
        given = self._places(answer)
        if given is None or sorted(given) != sorted(self.order):
            return Mark(
                0.0, Message("Each of the letters is needed once. {form}", form=self.form())
            )
        pairs = list(combinations(self.order, 2))
        right = sum(
            given.index(one) < given.index(other) or frozenset((one, other)) in self.ties
            for one, other in pairs
        )
        if right == len(pairs):
            return Mark(1.0, Message("Right."))
        if right * 2 < len(pairs):
            return Mark(
                0.0, Message("Less than half of the pairs are in order; is it the wrong way round?")
            )
        return Mark(
            max(0.0, right / len(pairs) - 0.25),
            Message("{right} of {pairs} pairs are in order.", right=right, pairs=len(pairs)),
        )

    def _places(self, answer: object) -> list[int] | None:
        """Return the places in an answer: a list of letters or texts, or letters in one string."""
        parts: list[object]
        if isinstance(answer, str):
            words = plain(answer, longest=1000)
            letters = re.fullmatch(r"[a-h](?:[\s,;<>、→-]*[a-h])*", words)
            if not letters and (named := self.options.places(words)):
                return named
            parts = list(re.findall("[a-h]", words)) if letters else _BETWEEN.split(words)
        elif isinstance(answer, list | tuple):
            parts = list(answer)
        else:
            return None
        places = [self.options.place(part) for part in parts]
        return [place for place in places if place is not None] if None not in places else None

    def form(self) -> Message:
        """Return how an order is written."""
        letters = " ".join(LETTERS[: len(self.order)][::-1])
        return Message("Write all letters in order, such as '{letters}'.", letters=letters)

    def solution(self) -> Message:
        """Return the letters and the texts in order."""
        pairs = self.options.pairs()
        return listed([pairs[place] for place in self.order])

    def example(self) -> str:
        """Return the letters in order."""
        return " ".join(LETTERS[place] for place in self.order)

    def choices(self) -> Sequence[tuple[str, Message]]:
        """Return the letters and texts."""
        return self.options.pairs()
