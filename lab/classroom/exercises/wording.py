"""Questions, answers and reasons as Markdown, in one language or in both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import tables
from lab.errors import InvalidConfig
from lab.language import choice
from lab.language.message import Language, Message, closed_up, translated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.classroom.exercises.question import Question


class Shown(str):
    """Markdown that a notebook renders."""

    __slots__ = ()

    def _repr_markdown_(self) -> str:
        return str(self)


def languages(chosen: str | None = None) -> tuple[Language, ...]:
    """Return the languages of en, zh or both; None is what is at hand. Raise InvalidConfig."""
    name = chosen or choice.at_hand()
    if name not in choice.CHOICES:
        *others, last = choice.CHOICES
        known = f"{', '.join(others)} or {last}"
        if chosen:
            raise InvalidConfig(f"{chosen!r} is no language: write {known}.")
        raise InvalidConfig(f"{choice.VARIABLE} is {name!r}: set it to {known}.")
    return choice.CHOICES[name]


def spoken(text: str, language: Language) -> str:
    """Return the text in that language; Chinese has no space between its characters."""
    words = translated(text, language)
    return closed_up(words) if language is Language.CHINESE else words


def in_languages(text: Message, chosen: Sequence[Language], between: str = " · ") -> str:
    """Return the text in each language."""
    return between.join(dict.fromkeys(spoken(text, language) for language in chosen))


def question(number: int, asked: Question, chosen: Sequence[Language]) -> str:
    """Return a question with its choices and how to answer, as Markdown."""
    head = Message("Question {number} ({points} points).", number=number, points=asked.points)
    texts = [
        f"**{spoken(head, language)}** {spoken(asked.text, language)}"
        f" *{spoken(asked.key.form(), language)}*"
        for language in chosen
    ]
    lines = [f"- **{letter}** {in_languages(text, chosen)}" for letter, text in asked.key.choices()]
    return "\n\n".join([*texts, *(["\n".join(lines)] if lines else [])])


def answers(asked: Mapping[int, Question], chosen: Sequence[Language]) -> str:
    """Return a table of all answers with points and reasons."""
    headings = [
        in_languages(each, chosen, " / ")
        for each in (
            Message("Question"), Message("Points"), Message("Answer"), Message("Explanation")
        )
    ]  # fmt: skip
    rows = [
        [
            str(number),
            str(each.points),
            tables.Marked(_cell(in_languages(each.key.solution(), chosen))),
            tables.Marked(_cell(in_languages(each.why, chosen))),
        ]
        for number, each in asked.items()
    ]
    return "\n".join(tables.markdown(headings, rows))


def omitted(left_out: Sequence[tuple[str, Message]], chosen: Sequence[Language]) -> str:
    """Return a paragraph for each language that names questions which this run can't ask."""
    return "\n\n".join(
        "\n".join(
            [
                spoken(Message("Questions that this run can't ask:"), language),
                "",
                *(f"- {name}: {spoken(reason, language)}" for name, reason in left_out),
            ]
        )
        for language in chosen
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|") if "\\|" not in text else text
