"""The Universal Scalability Law: its parameters and its peak are found again."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lab.scaling import scalability

COUNTS = [1.0, 2, 4, 8, 12, 16, 24, 32, 48, 64]


def law(n: float, one: float = 100.0, contention: float = 0.04, coherency: float = 0.0005) -> float:
    return one * n / (1 + contention * (n - 1) + coherency * n * (n - 1))


def test_an_exact_curve_gives_its_parameters() -> None:
    fitted = scalability.fit(COUNTS, [law(n) for n in COUNTS])
    assert fitted is not None
    assert fitted.throughput_of_one.centre == pytest.approx(100, rel=1e-4)
    assert fitted.contention.centre == pytest.approx(0.04, rel=1e-3)
    assert fitted.coherency.centre == pytest.approx(0.0005, rel=1e-3)
    at = math.sqrt(0.96 / 0.0005)
    assert fitted.peak_at.centre == pytest.approx(at, rel=1e-3)
    assert fitted.peak.centre == pytest.approx(law(at), rel=1e-4)
    assert fitted.predict(100) == pytest.approx(law(100), rel=1e-3)


def test_intervals_of_noisy_curves_hold_the_truth() -> None:
    """Of 20 curves with 3 % of noise, most intervals hold the true contention and the peak."""
    chance = np.random.default_rng(4)
    held = peaks = 0
    for number in range(20):
        noisy = [law(n) * float(np.exp(chance.normal(0, 0.03))) for n in COUNTS]
        fitted = scalability.fit(COUNTS, noisy, number)
        assert fitted is not None
        low, high = fitted.contention.low, fitted.contention.high
        assert low is not None
        assert high is not None
        held += low <= 0.04 <= high
        at_low, at_high = fitted.peak_at.low, fitted.peak_at.high
        assert at_low is not None
        assert at_high is not None
        peaks += at_low <= math.sqrt(0.96 / 0.0005) <= at_high
    assert held >= 16
    assert peaks >= 16


def test_a_line_has_no_peak() -> None:
    fitted = scalability.fit(COUNTS, [7.0 * n for n in COUNTS])
    assert fitted is not None
    assert fitted.throughput_of_one.centre == pytest.approx(7, rel=1e-4)
    assert fitted.peak_at.centre is None
    assert fitted.peak_at.high == math.inf


def test_equal_seeds_give_equal_intervals() -> None:
    noisy = [law(n) * (1 + 0.02 * (-1) ** place) for place, n in enumerate(COUNTS)]
    assert scalability.fit(COUNTS, noisy, 3) == scalability.fit(COUNTS, noisy, 3)


@pytest.mark.parametrize(
    ("counts", "throughputs"),
    [
        ([1, 2, 4], [1, 2, 4]),
        ([1, 1, 2, 2, 4, 4], [1, 1, 2, 2, 3, 3]),
        ([1, 2, 4, 8], [1, 2, 0, 3]),
        ([0, 2, 4, 8], [1, 2, 3, 3]),
    ],
)
def test_too_few_points_have_no_law(counts: list[float], throughputs: list[float]) -> None:
    assert scalability.fit(counts, throughputs) is None
