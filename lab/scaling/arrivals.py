"""Arrivals: a rate over time, and requests drawn from it as a Poisson process.

    arrivals = { shape = "festival", base = "100 /s", times = 20, at = "2 min", length = "30 s" }

A rate is linear between points. Requests of an interval are drawn by the inverse of the cumulative
rate: their number is Poisson, and given the number they are uniform on the cumulative rate (Çınlar,
"Introduction to stochastic processes", 1975), which spacings of exponential lengths give in order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from lab.errors import InvalidConfig
from lab.scaling import trace
from lab.scaling.arrays import NONE
from lab.scaling.quantities import Factor, Period, Rate, Seconds
from lab.scaling.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lab.scaling.arrays import FloatArray

_DIURNAL_POINTS = 1440  # of a period: the rate is off by less than a millionth of the peak
_MOST_PERIODS = 10_000  # whose points take some hundred megabytes


class Constant(Table, tag_field="shape", tag="constant", frozen=True, kw_only=True):
    """A rate that stays."""

    rate: Rate


class Step(Table, tag_field="shape", tag="step", frozen=True, kw_only=True):
    """A rate that changes at once, and stays."""

    base: Rate
    to: Rate
    at: Seconds


class Ramp(Table, tag_field="shape", tag="ramp", frozen=True, kw_only=True):
    """A rate that grows from `at` on for `length`, and stays."""

    base: Rate
    to: Rate
    at: Seconds
    length: Period


class Diurnal(Table, tag_field="shape", tag="diurnal", frozen=True, kw_only=True):
    """A sine between two rates, with its maximum `peak_at` after each beginning of a period."""

    low: Rate
    high: Rate
    period: Period = Period(86_400.0)
    peak_at: Seconds = Seconds(0.0)


class Festival(Table, tag_field="shape", tag="festival", frozen=True, kw_only=True):
    """A peak: `times` the base, reached in `rise`, held for `length`, left in `fall`."""

    base: Rate
    times: Factor = Factor(20.0)
    at: Seconds
    rise: Period = Period(60.0)
    length: Seconds = Seconds(600.0)
    fall: Period = Period(60.0)


class Trace(Table, tag_field="shape", tag="trace", frozen=True, kw_only=True):
    """A file of times and rates, relative to the scenario's folder; rates are multiplied."""

    file: str
    times: Factor = Factor(1.0)


Shape: TypeAlias = Constant | Step | Ramp | Diurnal | Festival | Trace


@dataclass(frozen=True, eq=False, slots=True)
class ArrivalRate:
    """A rate that is linear between points; two points at the same time are a jump.

    After the last point it stays. `peak` is the time that a peak takes, None without one.
    """

    times: FloatArray
    rates: FloatArray
    cumulative: FloatArray
    slopes: FloatArray
    peak: tuple[float, float] | None

    def expected(self, at: float) -> float:
        """Return the expected number of requests until a time."""
        place = int(np.searchsorted(self.times, at, "right")) - 1
        length = at - self.times[place]
        rate, slope = self.rates[place], self.slopes[place]
        return float(self.cumulative[place] + length * (rate + slope * length / 2))

    def draw(self, chance: np.random.Generator, begin: float, end: float) -> FloatArray:
        """Return the times of requests in an interval, ascending."""
        low, high = self.expected(begin), self.expected(end)
        count = int(chance.poisson(max(high - low, 0.0)))
        if not count:
            return NONE
        spacings = chance.standard_exponential(count + 1)
        sums = spacings.cumsum()
        times = self._inverse(low + (high - low) * sums[:-1] / sums[-1])
        return np.minimum(np.maximum(times, begin), math.nextafter(end, begin))

    def _inverse(self, expected: FloatArray) -> FloatArray:
        """Return the times until which so many requests are expected."""
        first, last = np.searchsorted(self.cumulative, expected[[0, -1]], "right") - 1
        places = (
            np.full(len(expected), first)
            if first == last
            else np.searchsorted(self.cumulative, expected, "right") - 1
        )
        more = expected - self.cumulative[places]
        rate, slope = self.rates[places], self.slopes[places]
        # The root of slope/2·x² + rate·x = more in the form that holds for a slope of zero too.
        root = np.sqrt(np.maximum(rate * rate + 2 * slope * more, 0.0))
        return self.times[places] + 2 * more / np.maximum(rate + root, np.finfo(float).tiny)


def resolve(shape: Shape, folder: Path, duration: float) -> ArrivalRate:
    """Return the rate that a scenario describes. Raise InvalidConfig with the key."""
    if isinstance(shape, Trace):
        times, rates = trace.read(folder / shape.file)
        with np.errstate(over="ignore"):  # an infinite rate is refused, as any that is too high
            return through(times, rates * shape.times, None)
    times, rates, peak = _points(shape, duration)
    if not rates.any():
        raise InvalidConfig("arrivals: every rate is zero: no request would ever arrive.")
    if peak and peak[0] >= duration:
        raise InvalidConfig(
            f"arrivals.at: {peak[0]:g} s is after the end of the simulation at {duration:g} s."
        )
    return through(times, rates, peak)


def through(times: FloatArray, rates: FloatArray, peak: tuple[float, float] | None) -> ArrivalRate:
    """Return the rate through points; the first is at zero."""
    lengths = np.diff(times)
    cumulative = np.concatenate(([0.0], (lengths * (rates[1:] + rates[:-1]) / 2).cumsum()))
    slopes = np.zeros(len(times))
    np.divide(np.diff(rates), lengths, out=slopes[:-1], where=lengths > 0)
    return ArrivalRate(times, rates, cumulative, slopes, peak)


def _points(
    shape: Constant | Step | Ramp | Diurnal | Festival, duration: float
) -> tuple[FloatArray, FloatArray, tuple[float, float] | None]:
    """Return the times and rates of the points, and the peak, if there is one."""
    match shape:
        case Constant():
            return *_plain([(0.0, shape.rate)]), None
        case Step():
            points = [(0.0, shape.base), (shape.at, shape.base), (shape.at, shape.to)]
            return *_plain(points), (float(shape.at), duration)
        case Ramp():
            full = shape.at + shape.length
            points = [(0.0, shape.base), (shape.at, shape.base), (full, shape.to)]
            return *_plain(points), (float(shape.at), duration)
        case Diurnal():
            return *_sine(shape, duration), None
        case Festival():
            top = Rate(shape.base * shape.times)
            full = shape.at + shape.rise
            down = full + shape.length
            over = down + shape.fall
            points = [
                (0.0, shape.base),
                (shape.at, shape.base),
                (full, top),
                (down, top),
                (over, shape.base),
            ]
            return *_plain(points), (float(shape.at), min(over, duration))


def _plain(points: Iterable[tuple[float, float]]) -> tuple[FloatArray, FloatArray]:
    times, rates = np.array([(float(time), float(rate)) for time, rate in points]).T
    return times, rates


def _sine(shape: Diurnal, duration: float) -> tuple[FloatArray, FloatArray]:
    if duration > _MOST_PERIODS * shape.period:
        raise InvalidConfig(
            f"arrivals.period: {shape.period:g} s has more than {_MOST_PERIODS:,} periods in the"
            f" simulated time of {duration:g} s."
        )
    step = shape.period / _DIURNAL_POINTS
    middle, swing = (shape.high + shape.low) / 2, (shape.high - shape.low) / 2
    if swing < 0:
        raise InvalidConfig("arrivals.high: it is less than low.")
    turn = 2 * math.pi / shape.period
    times: FloatArray = np.arange(math.ceil(duration / step) + 1, dtype=np.float64) * float(step)
    rates: FloatArray = middle + swing * np.cos(turn * (times - float(shape.peak_at)))
    return times, rates
