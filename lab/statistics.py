"""Centres with their intervals: what a handful of noisy measurements allows one to say.

The centre is the median, since what disturbs a host makes some measurements much slower and none
much faster. The level that is resampled is the round: what lies inside a round shares its weather.
(Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013)

Nothing here drops a value. With one value, or none, an interval is unknown: None, never a guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONFIDENCE = 0.95
RESAMPLES = 9999
# Fewer points can't all be in order by chance in less than 5 % of cases. (Kendall's S, two-sided)
FEWEST_POINTS = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """A centre and its interval, 95 % unless asked otherwise; `n` values went in.

    All are in the unit of the values. `centre` is None without values, `low` and `high` are None
    where the interval is unknown.
    """

    centre: float | None
    low: float | None
    high: float | None
    n: int


def estimate_median(
    values: Sequence[float], seed: int = 0, confidence: float = CONFIDENCE
) -> Estimate:
    """The median and its interval, the same for the same values and seed.

    Percentile bootstrap (Efron and Tibshirani 1993, chapter 13), with its percentiles set further
    apart for small n (Hesterberg, "What teachers should know about the bootstrap", The American
    Statistician 2015, section 5.3). Resampling can't leave the range of the values, which of fewer
    than six holds the median in less than 95 % of cases; there it is Student's t on the logarithms,
    which supposes that noise multiplies.
    """
    n = len(values)
    if n == 0:
        return Estimate(None, None, None, 0)
    centre = median(values)
    if n == 1:
        return Estimate(centre, None, None, 1)
    if min(values) == max(values):
        return Estimate(centre, centre, centre, n)
    range_holds_median = 1 - 2.0 ** (1 - n)
    if range_holds_median < confidence:
        return Estimate(centre, *_student(values, confidence), n)
    return Estimate(centre, *_bootstrap(values, seed, confidence), n)


def paired_ratio(
    values: Mapping[int, float], baseline: Mapping[int, float], seed: int = 0
) -> Estimate:
    """The median of value / baseline within each round that has both, by round number.

    A round whose baseline is zero has no ratio; `n` counts the rounds that have one. Pairing takes
    out what a round does to all of its targets alike.
    """
    ratios = [
        values[number] / baseline[number]
        for number in sorted(values.keys() & baseline.keys())
        if baseline[number] != 0
    ]
    return estimate_median(ratios, seed)


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """The Theil-Sen slope of y over x: the median of the slopes of all pairs; NaN if there is none.

    Not least squares, since y is a figure of the whole host: one step in which somebody else took
    memory must not tilt the line. (Sen, JASA 1968)
    """
    slopes = [
        (y[j] - y[i]) / (x[j] - x[i])
        for i in range(len(x))
        for j in range(i + 1, len(x))
        if x[i] != x[j]
    ]
    return median(slopes) if slopes else math.nan


def estimate_slope(
    x: Sequence[float], y: Sequence[float], confidence: float = CONFIDENCE
) -> Estimate:
    """The Theil-Sen slope with Sen's interval at that confidence; `n` counts the points.

    The interval is about these points alone: it says nothing of how another round would differ.
    """
    n = len(x)
    if len(set(x)) < 2:
        return Estimate(None, None, None, n)
    if n < FEWEST_POINTS:
        return Estimate(slope(x, y), None, None, n)
    from scipy.stats import theilslopes

    result = theilslopes(y, x, alpha=confidence)
    return Estimate(float(result.slope), float(result.low_slope), float(result.high_slope), n)


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios that does not depend on which side is the baseline.

    (Fleming and Wallace, "How not to lie with statistics", CACM 1986)
    """
    return math.exp(math.fsum(math.log(value) for value in values) / len(values))


def _bootstrap(values: Sequence[float], seed: int, confidence: float) -> tuple[float, float]:
    import numpy as np
    from scipy.stats import bootstrap, norm, t

    n = len(values)
    outside = 2 * norm.cdf(-math.sqrt(n / (n - 1)) * t.ppf((1 + confidence) / 2, n - 1))
    interval = bootstrap(
        (np.asarray(values, dtype=float),),
        np.median,
        confidence_level=1 - outside,
        n_resamples=RESAMPLES,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _student(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Bounds on the logarithms, or on the values themselves where one is not above zero."""
    import numpy as np
    from scipy.stats import t

    n = len(values)
    multiplies = min(values) > 0
    scale = np.log(values) if multiplies else np.asarray(values, dtype=float)
    centre = float(scale.mean())
    reach = float(t.ppf((1 + confidence) / 2, n - 1) * scale.std(ddof=1) / math.sqrt(n))
    low, high = centre - reach, centre + reach
    return (math.exp(low), math.exp(high)) if multiplies else (low, high)
