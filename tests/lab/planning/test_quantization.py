"""Amounts as integers."""

from __future__ import annotations

from fractions import Fraction

import pytest

from lab.planning.quantization import common_divisor, decimal, step, steps_down, steps_up


def test_an_amount_is_the_decimal_number_that_was_written() -> None:
    assert decimal(0.1) == Fraction(1, 10)
    assert decimal(0.1 + 0.2) == Fraction(3, 10)
    assert decimal(512 * 2**20) == 536870912
    assert decimal(1e20) == 10**20
    assert decimal(0.0) == 0


@pytest.mark.parametrize(
    ("amounts", "divisor"),
    [
        ([Fraction(1, 2), Fraction(3, 4)], Fraction(1, 4)),
        ([Fraction(6), Fraction(4), Fraction(0)], Fraction(2)),
        ([Fraction(1, 3), Fraction(1, 2)], Fraction(1, 6)),
        ([], Fraction(1)),
        ([Fraction(0)], Fraction(1)),
    ],
)
def test_the_common_divisor_of_fractions(amounts: list[Fraction], divisor: Fraction) -> None:
    assert common_divisor(amounts) == divisor


def test_a_step_divides_all_requests_whatever_the_capacity_is() -> None:
    requests = [decimal(0.3), decimal(0.75)]
    size = step(requests, [decimal(32.0), decimal(7.77)])
    assert size == Fraction(3, 20)
    assert [steps_up(request, size) for request in requests] == [2, 5]
    # 7.77 is 51.8 steps: the rest is less than any set of requests could use.
    assert steps_down(decimal(7.77), size) == 51


def test_a_tiny_divisor_gives_a_step_of_the_capacity_and_rounds_requests_up() -> None:
    request = decimal(1.00000000001)
    size = step([request, decimal(0.7)], [Fraction(1000)])
    assert size == Fraction(1, 10**10)
    assert steps_up(request, size) == 10_000_000_001
    assert steps_up(request, size) * size >= request
    assert steps_down(Fraction(1000), size) == 10**13


@pytest.mark.parametrize("capacity", [1.0, 1.1, 3.3, 9.99, 10.0, 1e15, 1e-5])
def test_a_request_of_few_digits_is_exact_beside_one_of_many(capacity: float) -> None:
    tiny = decimal(capacity * 1e-15)
    size = step([tiny, decimal(capacity) / 5], [decimal(capacity)])
    assert 10**13 <= decimal(capacity) / size < 10**14
    assert steps_up(decimal(capacity) / 5, size) * 5 == steps_down(decimal(capacity), size)
