"""Quantities as readable text: 2.40 ms, 501 KiB, 1.03 ×."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

UNKNOWN = "—"
_LEGIBLE = 0.1  # a smaller end of an interval gets a smaller unit
_LEAST_END = 0.01
_LEAST_PERCENT = 0.001
_FEW_ZEROS, _MANY_DIGITS = 1e-4, 1e12
_ROUNDING = 1e-9  # relative error of calculations with floating-point numbers
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

# Units that people write sizes in, with their bytes. (IEC 80000-13, and the SI's prefixes)
BYTE_UNITS = {
    "B": 1,
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGTP", 1)},
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGTP", 1)},
}

# The units that stay on one line with their number.
SHOWN_UNIT = re.compile(r"(?:[mµn]?s|min|[KMGT]?i?B|GB|/s|×|%)(?![A-Za-z])")
_SPACE_BEFORE_UNIT = re.compile(rf"(?<=\d) (?={SHOWN_UNIT.pattern})")


class Scale(NamedTuple):
    """A unit: its size in base units, and the smallest value that is shown in it."""

    name: str
    size: float
    least: float


# The last scale of each unit is for all smaller values.
_SCALES = {
    "second": (
        Scale("min", 60.0, 120.0),
        Scale("s", 1.0, 1.0),
        Scale("ms", 1e-3, 1e-3),
        Scale("µs", 1e-6, 1e-6),
        Scale("ns", 1e-9, 0.0),
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
    """Return the scale in which the value has few digits before the decimal point.

    `unit` is second, byte, integer or ratio; any other unit is used unchanged. A value that rounds
    to the smallest value of the next scale gets that scale: 999.7 µs are 1 ms.
    """
    scales = _SCALES.get(unit, (Scale(unit, 1.0, 0.0),))
    if value == 0:
        return next(scale for scale in scales if scale.size == 1.0)
    fitting = next((scale for scale in scales if abs(value) >= scale.least), scales[-1])
    rounded = _rounded(abs(value) / fitting.size) * fitting.size * (1 + _ROUNDING)
    return next((scale for scale in scales if rounded >= scale.least), fitting)


def quantity(value: float | None, unit: str, beside: float = 0.0) -> str:
    """Return the value with its unit, with three significant digits, two below 1.

    `beside` is a value that is shown next to it: the larger one gives both their unit.
    """
    if value is None:
        return UNKNOWN
    scale = scale_for(max(value, beside, key=abs), unit)
    if abs(value) / scale.size < _LEGIBLE:
        scale = scale_for(value, unit)
    return f"{_digits(value / scale.size)} {scale.name}".rstrip()


def decimal_bytes(bound: float) -> str:
    """Return a bound in the decimal units in which people claim sizes: 1 MB, 1 GB."""
    name = next((each for each in ("TB", "GB", "MB", "kB") if bound >= BYTE_UNITS[each]), "B")
    return f"{bound / BYTE_UNITS[name]:g} {name}"


def share(value: float | None) -> str:
    """Return a share or a relative difference in per cent.

    Only nothing is 0 % and only everything is 100 %: what lies closer to them than a thousandth of
    a per cent is shown as less than 0.001 %, or as more than 99.999 %.
    """
    if value is None:
        return UNKNOWN
    percent = 100 * value
    if 0 < abs(percent) < _LEAST_PERCENT:
        return f"{'<' if percent > 0 else '>'} {math.copysign(_LEAST_PERCENT, percent):g} %"
    missing = (100 - percent) * (1 + _ROUNDING)
    if 0 < missing < _LEAST_PERCENT:
        return f"> {100 - _LEAST_PERCENT:g} %"
    if missing > 0 and _rounded(percent) == 100:
        return f"{percent:.{math.ceil(-math.log10(missing))}f} %"
    return f"{_digits(percent)} %"


def interval(low: float | None, high: float | None, unit: str) -> str:
    """Return both ends in the unit of the larger end, or each in its own if they are far apart.

    An end that is too small for every unit is shown as less than 0.01 of the smallest.
    """
    if low is None or high is None:
        return UNKNOWN
    common = scale_for(max(low, high, key=abs), unit)
    scales = [
        common if end == 0 or abs(end) / common.size >= _LEGIBLE else scale_for(end, unit)
        for end in (low, high)
    ]
    name = "" if scales[0] == scales[1] else f" {scales[0].name}"
    return f"{_end(low, scales[0])}{name} – {_end(high, scales[1])} {scales[1].name}".rstrip()


def _end(value: float, scale: Scale) -> str:
    number = value / scale.size
    return f"< {_LEAST_END:g}" if 0 < number < _LEAST_END else _digits(number)


def _digits(number: float) -> str:
    """Return three significant digits, two below 1, with a power of ten for extreme values."""
    size = abs(number)
    if not math.isfinite(number):
        return f"{number:+}".replace("inf", "∞").lstrip("+")
    if size == 0 or (_FEW_ZEROS <= size < _MANY_DIGITS):
        number = _rounded(number) + 0.0  # -0.0 becomes 0.0
        size = abs(number)
        if size == round(size) or size >= 100:
            return f"{number:,.0f}"
        if size >= 10:
            return f"{number:.1f}"
        return f"{number:.2f}" if size >= _LEGIBLE else f"{number:.2g}"
    digits, _, power = f"{number:.1e}".partition("e")
    return f"{digits}·10{str(int(power)).translate(_SUPERSCRIPT)}"


def _rounded(number: float) -> float:
    """Return the number rounded for display: to an integer from 100 on, else to three digits."""
    if not math.isfinite(number):
        return number
    return float(round(number)) if abs(number) >= 100 else float(f"{number:.3g}")


def unbroken(text: str) -> str:
    """Return a text with no-break spaces between numbers and units. (Unicode, U+00A0)"""
    return _SPACE_BEFORE_UNIT.sub("\u00a0", text)
