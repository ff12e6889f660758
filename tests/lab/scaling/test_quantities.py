"""Quantities: units, ranges and the sentences of their errors."""

from __future__ import annotations

import pytest

from lab.scaling.quantities import (
    Bandwidth,
    Factor,
    Growth,
    Percentage,
    Period,
    Portion,
    Price,
    Quantity,
    Rate,
    Seconds,
    Share,
    Size,
    convert,
)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Seconds, "40 s", 40.0),
        (Seconds, "1.5min", 90.0),
        (Seconds, "250 µs", 250e-6),
        (Seconds, "0 s", 0.0),
        (Seconds, "1e3 ms", 1.0),
        (Period, "2 h", 7200.0),
        (Rate, "120 /min", 2.0),
        (Rate, "0 /s", 0.0),
        (Size, "2 KiB", 2048.0),
        (Bandwidth, "1 Gbit/s", 125e6),
        (Bandwidth, "10 MB/s", 1e7),
        (Price, "0.04 /h", 0.04),
        (Share, "70 %", 0.7),
        (Share, "57%", 0.57),
        (Portion, "0 %", 0.0),
        (Percentage, "200 %", 2.0),
        (Factor, 20, 20.0),
        (Growth, 1.1, 1.1),
    ],
)
def test_units_are_converted(kind: type[Quantity], value: object, expected: float) -> None:
    result = convert(kind, value)
    assert result == expected
    assert type(result) is kind


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        (Seconds, 40, "40 has no unit: choose from µs, us, ms, s, min, h, d, as in 40 s"),
        (Seconds, "40", "'40' has no unit"),
        (Seconds, "40 parsec", "'40 parsec' has the unknown unit 'parsec': choose from"),
        (Seconds, "-1 s", "'-1 s' must be at least 0"),
        (Seconds, "nan s", "'nan s' is not a number with a unit, such as 40 s"),
        (Seconds, "1e999 s", "'1e999 s' is not a finite number"),
        (Seconds, "1.2.3 s", "'1.2.3 s' is not a number with a unit"),
        (Seconds, "", "'' is not a number with a unit"),
        (Seconds, True, "True is not a number with a unit"),
        (Seconds, ["1 s"], "is not a number with a unit"),
        (Period, "0 s", "'0 s' must be above 0"),
        (Seconds, "1e11 s", "'1e11 s' must be at most 1e+10 s"),
        (Rate, "1e12 /s", "'1e12 /s' must be at most 1e+09 /s"),
        (Rate, "5 Hz", "unknown unit 'Hz'"),
        (Share, "101 %", "'101 %' must be at most 100 %"),
        (Share, "0 %", "'0 %' must be above 0"),
        (Portion, "101 %", "'101 %' must be at most 100 %"),
        (Share, 0.7, "0.7 has no unit: choose from %, as in 70 %"),
        (Factor, float("nan"), "nan is not a finite number"),
        (Factor, float("inf"), "inf is not a finite number"),
        (Factor, "2 x", "'2 x' has the unit 'x', but must be a plain number, such as 2"),
        (Growth, 1, "1 must be above 1"),
    ],
)
def test_bad_values_are_explained(kind: type[Quantity], value: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        convert(kind, value)
    assert sentence in str(error.value)


def test_another_kind_is_a_fault_of_the_program() -> None:
    with pytest.raises(TypeError):
        convert(str, "1 s")
