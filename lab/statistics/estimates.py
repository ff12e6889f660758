"""Centres with their intervals: what a handful of noisy measurements allows one to say.

The centre is the median, since what disturbs a host makes some measurements much slower and none
much faster. The level that is resampled is the round: what lies inside a round shares its weather.
(Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013)

Nothing here drops a value: what lies far out is counted. With one value, or none, an interval is
unknown: None, never a guess.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

# Values by level, the outermost first: runs of rounds of invocations of iterations.
Nested: TypeAlias = "float | Sequence[Nested]"

CONFIDENCE = 0.95
POWER = 0.95  # of the smallest difference that is said to be seen
RESAMPLES = 9999
_FAR_OUT = (
    3.0  # interquartile ranges beyond the quartiles (Tukey, "Exploratory data analysis", 1977)
)
# Fewer points can't all be in order by chance in less than 5 % of cases. (Kendall's S, two-sided)
FEWEST_POINTS = 5
# Of fewer rounds in a row nobody can tell whether each resembles the one before it.
FEWEST_IN_ORDER = 8
_MOST_CORRELATED = 0.9
_ONE_SIDED = 1.645  # of the normal distribution: 5 % lie above


@dataclass(frozen=True, slots=True)
class Estimate:
    """A centre and its interval, 95 % unless asked otherwise; `n` values went in.

    All are in the unit of the values. `centre` is None without values, `low` and `high` are None
    where the interval is unknown. `dependence` says how many values in a row told as much as an
    independent one: the interval is wider by its root.
    """

    centre: float | None
    low: float | None
    high: float | None
    n: int
    dependence: float = 1.0


@dataclass(frozen=True, slots=True)
class Scatter:
    """The standard deviation of a logarithm, and how many degrees of freedom it was taken from."""

    deviation: float
    freedom: int


def estimate_median(
    values: Sequence[float],
    seed: int = 0,
    confidence: float = CONFIDENCE,
    scatter: Scatter | None = None,
) -> Estimate:
    """The median and its interval, the same for the same values, their order and seed.

    Percentile bootstrap (Efron and Tibshirani 1993, chapter 13), with its percentiles set further
    apart for small n (Hesterberg, "What teachers should know about the bootstrap", The American
    Statistician 2015, section 5.3). Resampling can't leave the range of the values, which of fewer
    than six holds the median in less than 95 % of cases; there it is Student's t on the logarithms,
    which supposes that noise multiplies. It takes their `scatter` as it is known from more than
    these values, else from them.

    Values are in the order in which they were measured: where each resembles the one before it, the
    interval is wider. It is of this run all the same; another day's may differ by more.
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
        low, high = _student(values, confidence, scatter)
    else:
        low, high = _bootstrap(values, seed, confidence)
    dependent = dependence(values)
    return Estimate(centre, *_widened(centre, low, high, math.sqrt(dependent)), n, dependent)


def dependence(values: Sequence[float]) -> float:
    """How many of these values, in the order measured, tell as much as one independent of others.

    1 where the correlation of each with the next is within what chance gives, or can't be told.
    Else (1 + r) / (1 - r), which is exact where the correlation dies out geometrically. (Bayley and
    Hammersley, Supplement to the Journal of the Royal Statistical Society 1946) It is taken of
    ranks, which no outlier moves (Bartels, JASA 1982), and without the bias that it has in short
    series (Marriott and Pope, Biometrika 1954).
    """
    n = len(values)
    if n < FEWEST_IN_ORDER:
        return 1.0
    inorder = sorted(values)
    ranks = [(bisect_left(inorder, v) + bisect_right(inorder, v) - n) / 2 for v in values]
    square = math.fsum(rank * rank for rank in ranks)
    if not square:
        return 1.0
    found = math.fsum(one * following for one, following in pairwise(ranks)) / square
    if found * math.sqrt(n) <= _ONE_SIDED - 1 / math.sqrt(n):
        return 1.0
    unbiased = min((n * found + 1) / (n - 3), _MOST_CORRELATED)
    return (1 + unbiased) / (1 - unbiased)


def estimate_nested(values: Sequence[Nested], seed: int = 0) -> Estimate:
    """The median over the outermost level, and its interval from how its members differ.

    Each level below becomes its median first: iterations that share an invocation, or invocations
    that share a round, are no more independent for being many, and one round tells nothing of
    another. Only the outermost level is resampled, since resampling the lower ones as well counts
    their noise twice. (Davison and Hinkley, "Bootstrap methods and their application", 1997,
    section 3.8)
    """
    return estimate_median([_middle(value) for value in values], seed)


def paired_ratio(
    values: Mapping[int, float],
    baseline: Mapping[int, float],
    seed: int = 0,
    disturbed: Collection[int] = (),
) -> Estimate:
    """The median of value / baseline within each round that has both, by round number.

    A round whose baseline is zero has no ratio; `n` counts the rounds that went in, which
    `undisturbed` chooses. Pairing takes out what a round does to all of its targets alike.
    """
    ratios = {
        number: values[number] / baseline[number]
        for number in sorted(values.keys() & baseline.keys())
        if baseline[number] != 0
    }
    return estimate_median(list(undisturbed(ratios, disturbed).values()), seed)


def scatter_of_ratios(table: Sequence[Sequence[float]]) -> Scatter | None:
    """How the ratio of two targets within a round scatters, from a row of rounds for each target.

    Rounds are blocks in which each target has its turn in random order, so that what a round does
    to all of them and what sets targets apart can be taken out, and what is left is noise that all
    share: three rounds of six targets have ten degrees of freedom, where the ratio of two of them
    has two. None without two targets, two rounds and values above zero. (Box, Hunter and Hunter,
    "Statistics for experimenters", 2nd edition 2005, section 4.2)
    """
    targets, rounds = len(table), len(table[0]) if table else 0
    if targets < 2 or rounds < 2 or min(map(min, table)) <= 0:
        return None
    import numpy as np

    logarithms = np.log(table)
    noise = (
        logarithms
        - logarithms.mean(axis=0)
        - logarithms.mean(axis=1, keepdims=True)
        + logarithms.mean()
    )
    freedom = (targets - 1) * (rounds - 1)
    return Scatter(math.sqrt(2 * float((noise**2).sum()) / freedom), freedom)


def undisturbed(values: Mapping[int, float], disturbed: Collection[int]) -> dict[int, float]:
    """The rounds of a figure: those that nothing disturbed, if they are at least half; else all.

    Where most rounds are disturbed, the host is simply like that, and choosing would be picking.
    """
    quiet = {number: value for number, value in values.items() if number not in disturbed}
    return quiet if 2 * len(quiet) >= len(values) else dict(values)


def count_outliers(values: Sequence[float]) -> int:
    """How many lie far out, beyond three interquartile ranges of the quartiles. They stay in."""
    if len(values) < FEWEST_POINTS:
        return 0
    lower, _, upper = quantiles(values, method="inclusive")
    reach = _FAR_OUT * (upper - lower)
    return sum(not lower - reach <= value <= upper + reach for value in values)


def smallest_difference(found: Estimate) -> float | None:
    """The smallest relative difference that such an estimate finds in 95 % of cases.

    0.05 is 5 % more. It follows from the width of the interval, on a logarithmic scale: a true
    difference is found when the interval leaves it out, so it must be away by half the interval and
    by its own noise. None where the interval is unknown or reaches zero. (Cohen, "Statistical
    power analysis for the behavioral sciences", 1988, section 2.4)
    """
    if found.low is None or found.high is None or found.low <= 0:
        return None
    from scipy.stats import t

    freedom = max(found.n - 1, 1)
    half = math.log(found.high / found.low) / 2
    return math.expm1(half * (1 + t.ppf(POWER, freedom) / t.ppf((1 + CONFIDENCE) / 2, freedom)))


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


def _middle(value: Nested) -> float:
    if isinstance(value, Sequence):
        return median(_middle(inner) for inner in value)
    return value


def _widened(centre: float, low: float, high: float, times: float) -> tuple[float, float]:
    """Both ends so many times as far from the centre, on a logarithmic scale where it has one."""
    if times == 1.0:
        return low, high
    centre = min(max(centre, low), high)
    if low > 0:
        return centre * (low / centre) ** times, centre * (high / centre) ** times
    return centre - (centre - low) * times, centre + (high - centre) * times


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


def _student(
    values: Sequence[float], confidence: float, scatter: Scatter | None = None
) -> tuple[float, float]:
    """Bounds on the logarithms, or on the values themselves where one is not above zero."""
    import numpy as np
    from scipy.stats import t

    n = len(values)
    multiplies = min(values) > 0
    scale = np.log(values) if multiplies else np.asarray(values, dtype=float)
    centre = float(scale.mean())
    if not scatter or not multiplies:
        scatter = Scatter(float(scale.std(ddof=1)), n - 1)
    quantile = float(t.ppf((1 + confidence) / 2, scatter.freedom))
    reach = quantile * scatter.deviation / math.sqrt(n)
    low, high = centre - reach, centre + reach
    return (math.exp(low), math.exp(high)) if multiplies else (low, high)
