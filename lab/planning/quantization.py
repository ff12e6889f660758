"""Amounts as integers, so that capacities and bounds are checked without rounding.

A step of a resource is the greatest common divisor of all that is requested of it. Requests are
then whole numbers of steps, and a capacity loses by rounding down only what no set of requests
could fill: the answer stays the same. Where that divisor is tiny, the step is a power of ten, at
most 10^-13 of the largest capacity, and requests are rounded up: those of few digits stay exact.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd, lcm
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_STEPS = 10**13  # in the largest capacity, at least; ten thousand times as many fit 64 bits
_DIGITS = 12


def decimal(amount: float) -> Fraction:
    """Return the amount as the decimal number that was written: 0.1 is a tenth.

    Twelve significant digits are kept, which drops the rounding errors of a sum or a product.
    """
    return Fraction(f"{amount:.{_DIGITS}g}")


def common_divisor(amounts: Collection[Fraction]) -> Fraction:
    """Return the greatest number of which all amounts above zero are multiples; 1 for none."""
    positive = {amount for amount in amounts if amount > 0}
    if not positive:
        return Fraction(1)
    denominator = lcm(*(amount.denominator for amount in positive))
    numerators = (amount.numerator * (denominator // amount.denominator) for amount in positive)
    return Fraction(gcd(*numerators), denominator)


def step(requests: Collection[Fraction], capacities: Collection[Fraction]) -> Fraction:
    """Return the amount that one integer step of the resource stands for."""
    divisor, least = common_divisor(requests), max(capacities, default=Fraction(0)) / _STEPS
    if divisor >= least:
        return divisor
    # A decimal with few digits is a multiple of the power of ten: it is not rounded.
    power = Fraction(10) ** (len(str(least.numerator)) - len(str(least.denominator)))
    return max(divisor, power if power <= least else power / 10)


def steps_up(amount: Fraction, size: Fraction) -> int:
    """Return the number of steps that hold the amount."""
    return -(-amount // size)


def steps_down(amount: Fraction, size: Fraction) -> int:
    """Return the number of whole steps in the amount."""
    return amount // size
