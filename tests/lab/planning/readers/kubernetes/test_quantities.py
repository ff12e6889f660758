"""Quantities as Kubernetes' API reference defines them."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lab.planning.readers.kubernetes.quantities import quantity


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Fraction(0)),
        ("2", Fraction(2)),
        ("100m", Fraction(1, 10)),
        ("1500m", Fraction(3, 2)),
        ("250u", Fraction(250, 10**6)),
        ("7n", Fraction(7, 10**9)),
        ("1k", Fraction(1000)),
        ("128M", Fraction(128 * 10**6)),
        ("1.5Gi", Fraction(1536 * 2**20)),
        ("128974848", Fraction(128974848)),
        ("129e6", Fraction(129 * 10**6)),
        ("1E3", Fraction(1000)),
        ("1E", Fraction(10**18)),
        ("1Ei", Fraction(2**60)),
        ("2Pi", Fraction(2**51)),
        ("1G", Fraction(10**9)),
        ("5e-3", Fraction(5, 1000)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("+1", Fraction(1)),
        ("16265424Ki", Fraction(16265424 * 1024)),
        (2, Fraction(2)),
        (0.5, Fraction(1, 2)),
    ],
)
def test_a_quantity_is_exact(text: str | float, value: Fraction) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "m",
        "1K",
        "16g",
        "1mi",
        "1 Gi",
        "0x10",
        "1e",
        "1e1000",
        "1e999",
        "٣",
        "1_000",
        "1.2.3",
        "nan",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity(text)


def test_a_negative_quantity_is_refused() -> None:
    with pytest.raises(ValueError, match="the quantity -1Gi is negative"):
        quantity("-1Gi")
