"""Arrivals: rates of each shape, and draws that follow them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lab.errors import InvalidConfig
from lab.scaling import arrivals
from lab.scaling.arrivals import Constant, Diurnal, Festival, Ramp, Shape, Step, Trace
from lab.scaling.quantities import Factor, Period, Rate, Seconds

HERE = Path()
FESTIVAL = Festival(
    base=Rate(10), times=Factor(20), at=Seconds(100), rise=Period(60), length=Seconds(30),
    fall=Period(20),
)  # fmt: skip


def expected(shape: Shape, *, at: float, duration: float = 1000.0) -> float:
    return arrivals.resolve(shape, HERE, duration).expected(at)


@pytest.mark.parametrize(
    ("shape", "at", "requests"),
    [
        (Constant(rate=Rate(5)), 7.0, 35.0),
        (Step(base=Rate(2), to=Rate(10), at=Seconds(50)), 50.0, 100.0),
        (Step(base=Rate(2), to=Rate(10), at=Seconds(50)), 60.0, 200.0),
        (Ramp(base=Rate(0), to=Rate(10), at=Seconds(10), length=Period(20)), 20.0, 25.0),
        (Ramp(base=Rate(0), to=Rate(10), at=Seconds(10), length=Period(20)), 40.0, 200.0),
        (FESTIVAL, 100.0, 1000.0),
        (FESTIVAL, 160.0, 1000.0 + 60 * (10 + 200) / 2),
        (FESTIVAL, 190.0, 7300.0 + 30 * 200),
        (FESTIVAL, 210.0, 13300.0 + 20 * 105),
        (FESTIVAL, 310.0, 15400.0 + 100 * 10),
    ],
)
def test_the_expected_number_is_the_area_below_the_rate(
    shape: Shape, at: float, requests: float
) -> None:
    assert expected(shape, at=at) == pytest.approx(requests, rel=1e-12)


def test_a_day_has_its_mean_and_its_peak() -> None:
    shape = Diurnal(low=Rate(10), high=Rate(30), period=Period(600), peak_at=Seconds(150))
    rate = arrivals.resolve(shape, HERE, 1200.0)
    assert rate.expected(600.0) == pytest.approx(600 * 20, rel=1e-5)
    assert rate.expected(1200.0) == pytest.approx(1200 * 20, rel=1e-5)
    top = rate.expected(151.0) - rate.expected(149.0)
    assert top / 2 == pytest.approx(30, rel=1e-3)


def test_the_peak_is_from_the_rise_to_the_fall() -> None:
    assert arrivals.resolve(FESTIVAL, HERE, 1000.0).peak == (100.0, 210.0)
    assert arrivals.resolve(FESTIVAL, HERE, 200.0).peak == (100.0, 200.0)
    assert arrivals.resolve(Constant(rate=Rate(1)), HERE, 9.0).peak is None


def test_a_trace_is_scaled(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("0,1\n10,3\n")
    rate = arrivals.resolve(Trace(file="t.csv", times=Factor(2)), tmp_path, 100.0)
    assert rate.expected(10.0) == 20.0
    assert rate.expected(20.0) == 80.0  # the last rate stays


def test_draws_follow_the_rate() -> None:
    """Numbers are Poisson in each second, and places uniform on the cumulative rate."""
    rate = arrivals.resolve(FESTIVAL, HERE, 300.0)
    chance = np.random.default_rng(7)
    counts = np.zeros(300)
    places = []
    for number in range(200):
        for second in range(100, 220) if number else range(300):
            drawn = rate.draw(chance, float(second), second + 1.0)
            assert (np.diff(drawn) >= 0).all()
            assert ((drawn >= second) & (drawn < second + 1)).all()
            counts[second] += len(drawn)
            if second in {130, 165, 200}:
                low, high = rate.expected(second), rate.expected(second + 1.0)
                places += [(rate.expected(at) - low) / (high - low) for at in drawn.tolist()]
    # 200 draws of each second: the standardized numbers have mean 0 and variance 1.
    means = np.array([200 * (rate.expected(at + 1.0) - rate.expected(at)) for at in range(300)])
    standardized = ((counts - means) / np.sqrt(means))[100:220]
    assert abs(standardized.mean()) < 3.3 / math.sqrt(120)
    assert 0.6 < standardized.var() < 1.5
    ordered = np.sort(places)
    ideal = (np.arange(len(ordered)) + 0.5) / len(ordered)
    assert np.abs(ordered - ideal).max() < 1.95 / math.sqrt(len(ordered))  # Kolmogorov, 0.1 %


def test_equal_seeds_give_equal_requests() -> None:
    rate = arrivals.resolve(FESTIVAL, HERE, 300.0)
    one, two = (rate.draw(np.random.default_rng(3), 150.0, 160.0) for _ in range(2))
    assert one.tolist() == two.tolist()
    assert len(one) > 1000


def test_nothing_arrives_at_a_rate_of_zero() -> None:
    rate = arrivals.resolve(Step(base=Rate(0), to=Rate(5), at=Seconds(10)), HERE, 20.0)
    chance = np.random.default_rng(1)
    assert not len(rate.draw(chance, 0.0, 10.0))
    assert len(rate.draw(chance, 10.0, 20.0))
    assert rate.draw(chance, 0.0, 20.0).min() >= 10.0


@pytest.mark.parametrize(
    ("shape", "fault"),
    [
        (Constant(rate=Rate(0)), "every rate is zero"),
        (Step(base=Rate(1), to=Rate(2), at=Seconds(99)), "arrivals.at: 99 s is after the end"),
        (Diurnal(low=Rate(2), high=Rate(1)), "arrivals.high: it is less than low"),
        (
            Diurnal(low=Rate(1), high=Rate(2), period=Period(1e-3)),
            "arrivals.period: 0.001 s has more than 10,000 periods in the simulated time of",
        ),
    ],
)
def test_impossible_loads_are_refused(shape: Shape, fault: str) -> None:
    with pytest.raises(InvalidConfig, match=fault):
        arrivals.resolve(shape, HERE, 60.0)
