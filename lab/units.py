"""Quantities as people read them: 2.40 ms, 501 KiB, 1.03 ×."""

from __future__ import annotations

from typing import NamedTuple

UNKNOWN = "—"


class Scale(NamedTuple):
    """A unit for reading: how many of the base unit it is, and from which value on it is used."""

    name: str
    size: float
    least: float


# The last one of each is for whatever is smaller.
_SCALES = {
    "second": (
        Scale("min", 60.0, 120.0),
        Scale("s", 1.0, 1.0),
        Scale("ms", 1e-3, 1e-3),
        Scale("µs", 1e-6, 0.0),
    ),
    "byte": (
        Scale("GiB", 2.0**30, 2.0**30),
        Scale("MiB", 2.0**20, 2.0**20),
        Scale("KiB", 2.0**10, 2.0**10),
        Scale("B", 1.0, 0.0),
    ),
    "ratio": (Scale("×", 1.0, 0.0),),
    "integer": (Scale("", 1.0, 0.0),),
}


def scale_for(value: float, unit: str) -> Scale:
    """The scale in which the value has few digits before its point.

    `unit` is second, byte, integer or ratio; another one is read as it is.
    """
    scales = _SCALES.get(unit, (Scale(unit, 1.0, 0.0),))
    return next((scale for scale in scales if abs(value) >= scale.least), scales[-1])


def quantity(value: float | None, unit: str) -> str:
    """The value with its unit, in three significant digits."""
    if value is None:
        return UNKNOWN
    scale = scale_for(value, unit)
    return f"{_digits(value / scale.size)} {scale.name}".rstrip()


def share(value: float | None) -> str:
    """A part of the whole, or a relative difference, in per cent."""
    return UNKNOWN if value is None else f"{_digits(100 * value)} %"


def interval(low: float | None, high: float | None, unit: str) -> str:
    """Both bounds in one unit, that of the larger one."""
    if low is None or high is None:
        return UNKNOWN
    scale = scale_for(high, unit)
    return f"{_digits(low / scale.size)} – {_digits(high / scale.size)} {scale.name}".rstrip()


def _digits(number: float) -> str:
    size = abs(number)
    if size == round(size) or size >= 100:
        return f"{number:,.0f}"
    if size >= 10:
        return f"{number:.1f}"
    return f"{number:.2f}" if size >= 0.1 else f"{number:.2g}"
