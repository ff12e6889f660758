"""Quantities and intervals as readable text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import units

SIZES = {
    "second": {"min": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9},
    "byte": {"GiB": 2.0**30, "MiB": 2.0**20, "KiB": 2.0**10, "B": 1.0},
    "ratio": {"×": 1.0},
}


def read(text: str, unit: str) -> float:
    """Return the number that the text stands for."""
    number, _, name = text.rpartition(" ")
    mantissa, _, power = number.replace(",", "").partition("·10")
    digits = power.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return float(mantissa) * 10.0 ** int(digits or "0") * SIZES[unit][name]


@pytest.mark.parametrize(
    ("low", "high", "unit", "text"),
    [
        (0.0024, 0.0031, "second", "2.40 – 3.10 ms"),
        (0.0009, 0.0103, "second", "0.90 – 10.3 ms"),
        (0.015, 498.6, "second", "15 ms – 8.31 min"),
        (4.4e-9, 296.4, "second", "4.40 ns – 4.94 min"),
        (0.0, 0.003, "second", "0 – 3 ms"),
        (0.0, 0.0, "second", "0 – 0 s"),
        (-0.005, -2e-6, "second", "-5 ms – -2 µs"),
        (2e3, 5e9, "byte", "1.95 KiB – 4.66 GiB"),
        (1.6e-6, 428.0, "ratio", "< 0.01 – 428 ×"),
        (0.05, 0.4, "ratio", "0.05 – 0.40 ×"),
        (580.0, 580.0, "ratio", "580 – 580 ×"),
        (None, 1.0, "second", "—"),
    ],
)
def test_each_end_of_an_interval_has_digits(
    low: float | None, high: float | None, unit: str, text: str
) -> None:
    assert units.interval(low, high, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (999.7e-6, "second", "1 ms"), (0.99999e-3, "second", "1 ms"), (119.7, "second", "2 min"),
        (1023.9, "byte", "1 KiB"), (999.4e-6, "second", "999 µs"), (9.996, "ratio", "10 ×"),
        (99.96, "ratio", "100 ×"), (0.0, "second", "0 s"), (1.6e-6, "MB/s", "1.6·10⁻⁶ MB/s"),
        (4e15, "MB/s", "4.0·10¹⁵ MB/s"), (12345.678, "MB/s", "12,346 MB/s"),
        (-0.0, "integer", "0"),
    ],
)  # fmt: skip
def test_a_value_that_rounds_up_gets_the_next_unit(value: float, unit: str, text: str) -> None:
    assert units.quantity(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"), (0.0, "0 %"), (-0.0, "0 %"), (1.0, "100 %"), (0.123456, "12.3 %"),
        (3.5e-21, "< 0.001 %"), (9.9e-6, "< 0.001 %"), (1e-5, "0.001 %"), (-3e-9, "> -0.001 %"),
        (0.9995, "99.95 %"), (0.9996, "99.96 %"), (0.99996, "99.996 %"), (0.99999, "99.999 %"),
        (1 - 1e-9, "> 99.999 %"), (0.9994, "99.9 %"), (1.0004, "100 %"), (25.0, "2,500 %"),
    ],
)  # fmt: skip
def test_only_nothing_is_0_per_cent_and_only_everything_is_100(
    value: float | None, text: str
) -> None:
    assert units.share(value) == text


@pytest.mark.parametrize(
    ("bound", "text"), [(1e6, "1 MB"), (1e9, "1 GB"), (1e12, "1 TB"), (1500, "1.5 kB"), (7, "7 B")]
)
def test_a_bound_has_a_decimal_unit(bound: float, text: str) -> None:
    assert units.decimal_bytes(bound) == text


@given(st.floats(min_value=1e-12, max_value=1, exclude_max=True))
def test_a_share_of_less_than_everything_has_neither_a_power_nor_a_full_100(value: float) -> None:
    text = units.share(value)
    assert "·" not in text
    assert text not in ("0 %", "100 %")


@given(
    st.floats(min_value=1e-12, max_value=1e14) | st.floats(min_value=-1e14, max_value=-1e-12),
    st.sampled_from(sorted(SIZES)),
)
def test_a_quantity_is_accurate_to_a_few_per_cent(value: float, unit: str) -> None:
    text = units.quantity(value, unit)
    assert read(text, unit) == pytest.approx(
        value, rel=0.06 if "·" in text or abs(value) < 0.17 else 0.03
    )
    assert not re.search(r"e[-+]\d", text)


@given(
    st.floats(min_value=1e-9, max_value=1e9),
    st.floats(min_value=1.0, max_value=1e12),
    st.sampled_from(sorted(SIZES)),
)
def test_no_end_is_all_zeros_or_a_power(low: float, factor: float, unit: str) -> None:
    text = units.interval(low, min(low * factor, 1e11), unit)
    assert "e-" not in text
    first = text.partition(" – ")[0]
    assert not first.startswith("0.00")
    assert first.startswith("< 0.01") or not first.startswith("0 ")
