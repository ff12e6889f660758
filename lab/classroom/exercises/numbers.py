"""Answers that are a number with a unit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab import units
from lab.classroom.exercises.question import Key, Mark
from lab.classroom.exercises.reading import UNITS, Quantity, quantity
from lab.language.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

# The least and the most that an answer may differ from a sampled figure, whatever its interval: a
# figure is shown with three digits, and an interval of few rounds may span a factor of ten.
ROUNDING, WIDEST = 0.02, 0.25
COUNTED = 0.006  # of a counted figure: its third digit
_NEAR, _SAME_SIZE = 1.25, math.sqrt(10)
HALF, QUARTER = 0.5, 0.25


@dataclass(frozen=True, slots=True)
class Number(Key):
    """A value in a base unit (of UNITS), and the range that is right.

    `signed` is True if a value below zero is a meaningful answer.
    """

    value: float
    unit: str
    low: float
    high: float
    signed: bool = False

    @classmethod
    def sampled(
        cls, value: float, unit: str, low: float | None, high: float | None, *, signed: bool = False
    ) -> Number:
        """Return the key of a figure with its interval, within ROUNDING and WIDEST."""
        least, most = abs(value) * ROUNDING, abs(value) * WIDEST
        below = min(max(value - low if low is not None else 0.0, least), most)
        above = min(max(high - value if high is not None else 0.0, least), most)
        return cls(value, unit, value - below, value + above, signed)._with_shown()

    @classmethod
    def counted(cls, value: float, unit: str) -> Number:
        """Return the key of a value without an interval."""
        around = abs(value) * COUNTED
        return cls(value, unit, value - around, value + around)._with_shown()

    def allowing(self, value: float) -> Number:
        """Return the key with a range that holds another value too, by what rounding allows."""
        around = abs(value) * COUNTED
        return replace(self, low=min(self.low, value - around), high=max(self.high, value + around))

    def _with_shown(self) -> Number:
        """Return the key with a range that holds the value as tables show it, too.

        Below 1 they show two digits, which may be 5 % away.
        """
        given = quantity(self.example())
        shown = given.in_base(self.unit) if given else None
        if shown is None:
            return self
        return replace(self, low=min(self.low, shown), high=max(self.high, shown))

    def form(self) -> Message:
        """Return how a number of this unit is written."""
        if self.unit == "second":
            return Message("Write a time with its unit, such as '12 ms'.")
        if self.unit == "byte":
            return Message("Write a size with its unit, such as '12 MiB'.")
        if self.unit == "share":
            return Message("Write a percentage, such as '12 %'.")
        if self.unit == "ratio":
            return Message("Write a factor, such as '1.2' or '1.2 ×'.")
        if self.unit == "CPUs":
            return Message("Write a number, such as '1.2'.")
        return Message("Write a number, such as '12'.")

    def solution(self) -> Message:
        """Return the value and the range that gets all points."""
        low, high = self._shown(self.low), self._shown(self.high)
        if self.unit == "integer" and self.high - self.low < 1:
            return Message("{value} (accepted: this value alone)", value=self._shown(self.value))
        return Message(
            "{value} (accepted: {low} to {high})", value=self._shown(self.value), low=low, high=high
        )

    def example(self) -> str:
        """Return the value as it is shown."""
        return self._shown(self.value)

    def _shown(self, value: float) -> str:
        return units.share(value) if self.unit == "share" else units.quantity(value, self.unit)

    def check(self, answer: object) -> Mark:
        """Return all points within the range, and a part for a known mistake or a near value."""
        given = quantity(answer)
        if given is None and self._is_as_shown(answer):
            return Mark(1.0, Message("Right."))
        if given is None:
            return Mark(0.0, Message("This is not one finite number. {form}", form=self.form()))
        value = given.in_base(self.unit)
        if value is None:
            return self._other_unit(given)
        if self._is_right(value):
            return Mark(1.0, Message("Right."))
        return self._mistake(given, value) or self._distance(value)

    def _is_as_shown(self, answer: object) -> bool:
        """Return True if the answer is what tables show, such as '< 0.001 %', spaces aside."""
        shown = self.example().split()
        return isinstance(answer, str) and "".join(answer.split()) == "".join(shown)

    def _is_right(self, value: float) -> bool:
        return self.low <= value <= self.high

    def _other_unit(self, given: Quantity) -> Mark:
        """Return the mark of a number without a unit, or with one that measures something else."""
        fitting = [size for size in self._sizes() if self._is_right(given.number * size)]
        if given.unit:
            return Mark(
                QUARTER if fitting else 0.0,
                Message("The unit does not fit the question. {form}", form=self.form()),
            )
        if self.unit in ("ratio", "share") and self._is_right(given.number):
            return Mark(1.0, Message("Right."))
        if self.unit == "ratio":
            return self._mistake(given, given.number) or self._distance(given.number)
        if self.unit == "share":
            if self._is_right(given.number / 100):
                return Mark(HALF, Message("The number is right, but the % sign is missing."))
            return self._mistake(given, given.number / 100) or self._distance(given.number / 100)
        if fitting:
            return Mark(HALF, Message("The number is right, but its unit is missing."))
        return Mark(0.0, Message("The unit is missing. {form}", form=self.form()))

    def _sizes(self) -> Iterable[float]:
        return dict.fromkeys(UNITS.get(self.unit, {}).values())

    def _mistake(self, given: Quantity, value: float) -> Mark | None:
        """Return the mark of a value that a common mistake explains."""
        if self._is_right(-value) and self.signed:
            return Mark(QUARTER, Message("The size is right, the sign is not."))
        if self.unit in ("second", "byte"):
            for size in self._sizes():
                if self._is_right(given.number * size):
                    return Mark(QUARTER, self._wrong_unit(given, size))
        if self.unit == "ratio":
            if value and self._is_right(1 / value):
                return Mark(HALF, Message("This is the inverse: divide the other way round."))
            if self._is_right(value * 100) or self._is_right(value / 100):
                return Mark(
                    HALF, Message("The digits are right; mind percent and factor: 120 % are 1.2 ×.")
                )
            if self._is_right(value + 1):
                return Mark(
                    HALF, Message("This is how much more it is; asked is how many times as much.")
                )
        if self.unit == "share":
            if self._is_right(value / 100) or self._is_right(value * 100):
                return Mark(
                    HALF, Message("The digits are right; mind share and percent: 0.12 is 12 %.")
                )
            if self._is_right(value - 1):
                return Mark(
                    HALF, Message("This is the whole; asked is the difference: 120 % is 20 % more.")
                )
        return None

    def _wrong_unit(self, given: Quantity, size: float) -> Message:
        own = UNITS[self.unit][given.unit]
        if self.unit == "byte" and 0.8 < own / size < 1.25:
            return Message("The digits are right, but MB and MiB differ: 1 MiB is 1,048,576 bytes.")
        return Message("The digits are right, the unit is not.")

    def _distance(self, value: float) -> Mark:
        if not (self.value and value):
            return Mark(0.0, Message("Not right."))
        if (value < 0) != (self.value < 0):
            return Mark(0.0, Message("Not right: look at the sign, too."))
        if self.unit == "integer" and self.value < 20:
            return Mark(0.0, Message("Not right: count again."))
        ratio = value / self.value
        if 1 / _NEAR <= ratio <= _NEAR:
            return Mark(HALF, Message("Near, but outside of what the run's interval allows."))
        if 1 / _SAME_SIZE <= ratio <= _SAME_SIZE:
            return Mark(QUARTER, Message("The order of magnitude is right, the value is not."))
        if ratio > 1:
            return Mark(0.0, Message("Not right: too much, by more than a factor of three."))
        return Mark(0.0, Message("Not right: too little, by more than a factor of three."))
