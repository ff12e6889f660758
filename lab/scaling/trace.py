"""Traces of arrivals: a line for each change of the rate, as `seconds,requests per second`.

    second,rate
    0,120
    60,2400.5

Empty lines and lines that begin with # are skipped; the first of the others may be a heading. The
rate stays until the next line; the first line's time is the beginning of the simulation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lab.errors import InvalidConfig

if TYPE_CHECKING:
    from pathlib import Path

    from lab.scaling.arrays import FloatArray

_SHOWN = 60  # characters of a broken line


def read(path: Path) -> tuple[FloatArray, FloatArray]:
    """Return the points of a trace: times from zero on, and rates. Raise InvalidConfig."""
    times: list[float] = []
    rates: list[float] = []
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            begins = True
            for number, line in enumerate(file, 1):
                words = line.strip()
                if not words or words.startswith("#"):
                    continue
                is_first, begins = begins, False
                if is_first and _is_heading(words):
                    continue
                time, rate = _point(path, number, words)
                if times and time <= times[-1]:
                    raise _broken(path, number, words, "its time is not after the line before")
                times.append(time)
                rates.append(rate)
    except (OSError, ValueError) as error:  # a path with a null character is no value of open()
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidConfig(f"arrivals.file: {path} can't be read: {why}.") from error
    if not any(rates):
        raise InvalidConfig(f"arrivals.file: {path} has no line with a rate above zero.")
    return _steps(np.array(times) - times[0], np.array(rates))


def _steps(times: FloatArray, rates: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return points between which the rate stays, with a jump at each change."""
    both = np.repeat(times, 2)[1:]
    return both, np.repeat(rates, 2)[:-1]


def _is_heading(line: str) -> bool:
    return not any(character.isdigit() for character in line)


def _point(path: Path, number: int, line: str) -> tuple[float, float]:
    fields = line.split(",")
    if len(fields) != 2:
        raise _broken(path, number, line, f"it has {len(fields)} fields instead of 2")
    try:
        time, rate = (float(field) for field in fields)
    except ValueError:
        raise _broken(path, number, line, "it is not two numbers") from None
    if "_" in line:  # float() reads 1_000
        raise _broken(path, number, line, "it is not two numbers")
    if not (math.isfinite(time) and math.isfinite(rate)):
        raise _broken(path, number, line, "a number is not finite")
    if rate < 0:
        raise _broken(path, number, line, "the rate is negative")
    return time, rate


def _broken(path: Path, number: int, line: str, why: str) -> InvalidConfig:
    shown = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
    return InvalidConfig(f"arrivals.file: {path}, line {number}: {why}: {shown!r}.")
