"""Sentences about figures, which several questions share, and keys made of figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import tables, units
from lab.analysis import summary
from lab.classroom.exercises.letters import Ordering
from lab.classroom.exercises.numbers import Number
from lab.classroom.exercises.reading import quantity
from lab.language.message import Message, joined
from lab.language.punctuation import COMMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.analysis.summary import Measurement, Ratio
    from lab.classroom.exercises.draw import Draw
    from lab.classroom.exercises.facts import Facts


def key(figure: Measurement) -> Number:
    """Return the key of a figure: its interval, or the value itself where it is counted."""
    value = figure.median or 0.0
    if summary.is_exact(figure):
        return Number.counted(value, figure.unit)
    return Number.sampled(value, figure.unit, figure.low, figure.high)


def ratio_key(ratio: Ratio) -> Number:
    """Return the key of a ratio: its interval."""
    return Number.sampled(ratio.ratio, "ratio", ratio.low, ratio.high)


def as_shown(value: float, unit: str) -> float:
    """Return the value as tables show it, from which a student reckons."""
    given = quantity(units.quantity(value, unit))
    shown = given.in_base(unit) if given else None
    return value if shown is None else shown


def told(facts: Facts, figure: Measurement) -> Message:
    """Return a figure with its interval and n in words."""
    value = units.quantity(figure.median, figure.unit)
    target = facts.label(figure.target)
    if figure.low is None:
        return Message("The run has {value} for {target}.", value=value, target=target)
    return Message(
        "The run has {value} for {target} (95 % interval {interval}, n = {n}).",
        value=value,
        target=target,
        interval=units.interval(figure.low, figure.high, figure.unit),
        n=figure.n,
    )


def told_ratio(facts: Facts, ratio: Ratio) -> Message:
    """Return a ratio with its interval and n in words."""
    return Message(
        "{target} / {baseline}, {metric}: {value} (95 % interval {interval}, n = {n}).",
        target=facts.label(ratio.target),
        baseline=facts.label(ratio.baseline),
        metric=tables.literal(ratio.metric),
        value=units.quantity(ratio.ratio, "ratio"),
        interval=units.interval(ratio.low, ratio.high, "ratio"),
        n=ratio.n,
    )


def values_told(pairs: Sequence[tuple[str, float]], unit: str) -> Message:
    """Return names with their values in one line."""
    shown = [joined(" ", [name, units.quantity(value, unit)]) for name, value in pairs]
    return Message("The run has: {values}.", values=joined(COMMA, shown))


def named(text: str) -> Message:
    """Return a name as a message that no language changes."""
    return joined("", [text])


def step(name: str) -> Message:
    """Return the name of a step as Markdown."""
    return name if isinstance(name, Message) else named(tables.literal(name))


def ordering(draw: Draw, names: Sequence[str], ties: Sequence[tuple[int, int]] = ()) -> Ordering:
    """Return the key of names in their right order."""
    return Ordering.of(draw, [named(name) for name in names], ties)
