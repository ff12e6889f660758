"""Quantities as Kubernetes writes them: 100m, 1.5Gi, 12e6."""

from __future__ import annotations

import re
from fractions import Fraction

_DECIMAL = {letter: Fraction(1000) ** power for power, letter in enumerate("kMGTPE", 1)}
_BINARY = {f"{letter}i": Fraction(1024) ** power for power, letter in enumerate("KMGTPE", 1)}
_SMALL = {letter: Fraction(1, 1000) ** power for power, letter in enumerate("mun", 1)}
_FACTORS = {"": Fraction(1), **_DECIMAL, **_BINARY, **_SMALL}
_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?[0-9]{1,3}))?"
)
_MOST_DIGITS = 64
_MOST_EXPONENT = 30


def quantity(value: str | float) -> Fraction:
    """Return the exact value of a quantity. Raise ValueError unless it is one of 0 or more.

    A number may stand without quotes. "1E" is 10^18, "1E3" is a thousand. (Kubernetes' API
    reference, Quantity)
    """
    text = str(value).strip()
    match = _QUANTITY.fullmatch(text) if len(text) <= _MOST_DIGITS else None
    exponent = int(match[3] or 0) if match else 0
    if match is None or abs(exponent) > _MOST_EXPONENT:
        raise ValueError(f"{text[:40]!r} is not a quantity of Kubernetes'")
    result = Fraction(match[1]) * _FACTORS[match[2] or ""] * Fraction(10) ** exponent
    if result < 0:
        raise ValueError(f"the quantity {text} is negative")
    return result
