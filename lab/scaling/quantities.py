"""Quantities of a scenario: numbers with a unit, checked where they are read.

    duration = "10 min"      base = "100 /s"      size = "250 MB"      target-utilization = "70 %"

Each kind is a float in its base unit, so that a number without a unit, with an unknown one, or out
of the kind's range never gets into a simulation. msgspec calls `convert` for every such field.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, ClassVar, TypeAlias

import msgspec

from lab.units import BYTE_UNITS

_TEXT = re.compile(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(.*?)\s*")
_BYTES = {unit: float(size) for unit, size in BYTE_UNITS.items()}
_BITS = {"bit": 0.125, "kbit": 125.0, "Mbit": 125e3, "Gbit": 125e6}


# Numbers of instances, nodes and periods. More take hours, or more memory than a host has.
_MOST = 1_000_000
Number: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=_MOST)]
NumberOrZero: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]


class Quantity(float):
    """A number of one kind, in the kind's base unit.

    `units` gives the size of each unit; the empty unit stands for a plain number. `least` is the
    smallest value, which only kinds with `reaches_least` may have.
    """

    units: ClassVar[dict[str, float]] = {"": 1.0}
    example: ClassVar[str] = "2"
    least: ClassVar[float] = 0.0
    most: ClassVar[float] = math.inf
    reaches_least: ClassVar[bool] = True


class Seconds(Quantity):
    """A time of zero or more."""

    units: ClassVar[dict[str, float]] = {
        "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0,
    }  # fmt: skip
    example = "40 s"
    most = 1e10  # three centuries


class Period(Seconds):
    """A time above zero."""

    reaches_least = False


class Rate(Quantity):
    """Requests per second."""

    units: ClassVar[dict[str, float]] = {"/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600}
    example = "100 /s"
    most = 1e9


class Size(Quantity):
    """A number of bytes above zero."""

    units: ClassVar[dict[str, float]] = _BYTES
    example = "250 MB"
    reaches_least = False


class Bandwidth(Quantity):
    """Bytes per second, above zero."""

    units: ClassVar[dict[str, float]] = {
        f"{unit}/s": size for unit, size in (_BYTES | _BITS).items()
    }
    example = "1 Gbit/s"
    reaches_least = False


class Price(Quantity):
    """Money per hour, in any currency."""

    units: ClassVar[dict[str, float]] = {"/h": 1.0, "/min": 60.0, "/s": 3600.0}
    example = "0.04 /h"
    most = 1e12


class Percentage(Quantity):
    """A share of 1, above zero; 200 % are 2."""

    units: ClassVar[dict[str, float]] = {"%": 0.01}
    example = "70 %"
    reaches_least = False


class Share(Percentage):
    """A share from above zero up to 100 %."""

    most = 1.0


class Portion(Quantity):
    """A share from zero up to 100 %."""

    units: ClassVar[dict[str, float]] = {"%": 0.01}
    example = "10 %"
    most = 1.0


class Factor(Quantity):
    """A plain number above zero."""

    reaches_least = False
    most = 1e9


class Growth(Quantity):
    """A plain number above one."""

    least = 1.0
    reaches_least = False
    most = 1e9


def convert(kind: type[object], value: object) -> Quantity:
    """Return a value of a TOML file as a quantity. Raise ValueError with the reason."""
    if not issubclass(kind, Quantity):
        raise TypeError(f"{kind.__name__} is no quantity")
    number, unit = _split(kind, value)
    if unit not in kind.units:
        raise ValueError(f"{value!r} has {_fault(kind, unit)}")
    size = kind.units[unit]
    # A division by 100 is exact where a multiplication by 0.01 is not.
    result = number * size if size >= 1 else number / round(1 / size)
    if not math.isfinite(result):
        raise ValueError(f"{value!r} is not a finite number")
    if result < kind.least or (result == kind.least and not kind.reaches_least):
        bound = "at least" if kind.reaches_least else "above"
        raise ValueError(f"{value!r} must be {bound} {kind.least:g}")
    if result > kind.most:
        raise ValueError(f"{value!r} must be at most {kind.most / kind.units[unit]:g} {unit}")
    return kind(result)


def _split(kind: type[Quantity], value: object) -> tuple[float, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value), ""
    if isinstance(value, str) and (found := _TEXT.fullmatch(value)):
        try:
            return float(found[1]), found[2]
        except ValueError:
            pass
    raise ValueError(f"{value!r} is not a number with a unit, such as {kind.example}")


def _fault(kind: type[Quantity], unit: str) -> str:
    known = ", ".join(name for name in kind.units if name)
    if unit and not known:
        return f"the unit {unit!r}, but must be a plain number, such as {kind.example}"
    if unit:
        return f"the unknown unit {unit!r}: choose from {known}"
    return f"no unit: choose from {known}, as in {kind.example}"
