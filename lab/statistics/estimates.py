"""Medians, ratios and slopes with their intervals, for small numbers of noisy measurements.

The centre is the median, since disturbances of a host make some measurements much slower and none
much faster. Rounds are resampled, since measurements inside a round share its disturbances.
(Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013)

No value is dropped; outliers are counted. The interval of a single value is unknown: None, never a
guess.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import median, quantiles
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy as np
    from numpy.typing import NDArray

# Values by level, the outermost first: rounds, then invocations, then iterations.
Nested: TypeAlias = "float | Sequence[Nested]"

CONFIDENCE = 0.95
POWER = 0.95  # of the smallest difference that is reported as detected
RESAMPLES = 9999
# Interquartile ranges beyond the quartiles. (Tukey, "Exploratory data analysis", 1977)
_OUTLIER_RANGES = 3.0
# With fewer points, even a perfect order is not significant at 5 %. (Kendall's S, two-sided)
FEWEST_POINTS = 5
# With fewer rounds, a correlation of each round with the next can't be detected.
FEWEST_IN_ORDER = 8
_MOST_CORRELATED = 0.9
_KEPT_INTERVALS = 8192  # the figures of several runs, each asked for by many tables
_KEPT_RESAMPLES = 8  # a few megabytes each
_ONE_SIDED = 1.645  # of the normal distribution: 5 % lie above


@dataclass(frozen=True, slots=True)
class Estimate:
    """A centre and its interval (95 % by default) from `n` values, all in the same unit.

    `centre` is None if there are no values; `low` and `high` are None if the interval is unknown.
    `dependence` is the number of successive values that carry as much information as one
    independent value; the interval is wider by its square root.
    """

    centre: float | None
    low: float | None
    high: float | None
    n: int
    dependence: float = 1.0


@dataclass(frozen=True, slots=True)
class Scatter:
    """The standard deviation of a logarithm, and its degrees of freedom."""

    deviation: float
    freedom: int


def estimate_median(
    values: Sequence[float],
    seed: int = 0,
    confidence: float = CONFIDENCE,
    scatter: Scatter | None = None,
) -> Estimate:
    """Return the median and its interval; the same values, order and seed give the same result.

    The interval is a percentile bootstrap (Efron and Tibshirani 1993, chapter 13), with percentiles
    further apart for small n (Hesterberg, "What teachers should know about the bootstrap", The
    American Statistician 2015, section 5.3). Resampling can't leave the range of the values, which
    for fewer than six values contains the median in less than 95 % of cases. For those, the
    interval is Student's t on the logarithms, which assumes multiplicative noise; its standard
    deviation is `scatter` if that is known from more values, else that of these values.

    Values are in the order in which they were measured: where successive values are correlated, the
    interval is wider. It describes this run only; runs on other days may differ by more.
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
        low, high = _bootstrap(tuple(values), seed, confidence)
    dependent = dependence(values)
    return Estimate(centre, *_widened(centre, low, high, math.sqrt(dependent)), n, dependent)


def dependence(values: Sequence[float]) -> float:
    """Return how many successive values carry as much information as one independent value.

    The result is 1 if the correlation r of successive values is within chance, or can't be
    estimated. Otherwise it is (1 + r) / (1 - r), which is exact if the correlation decays
    geometrically (Bayley and Hammersley, Supplement to the Journal of the Royal Statistical Society
    1946). r is computed from ranks, which outliers do not affect (Bartels, JASA 1982), and is
    corrected for its bias in short series (Marriott and Pope, Biometrika 1954).
    """
    n = len(values)
    if n < FEWEST_IN_ORDER:
        return 1.0
    inorder = sorted(values)
    ranks = [(bisect_left(inorder, v) + bisect_right(inorder, v) - n) / 2 for v in values]
    square = math.fsum(rank * rank for rank in ranks)
    if not square:
        return 1.0
    correlation = math.fsum(rank * next_rank for rank, next_rank in pairwise(ranks)) / square
    if correlation * math.sqrt(n) <= _ONE_SIDED - 1 / math.sqrt(n):
        return 1.0
    unbiased = min((n * correlation + 1) / (n - 3), _MOST_CORRELATED)
    return (1 + unbiased) / (1 - unbiased)


def estimate_nested(values: Sequence[Nested], seed: int = 0) -> Estimate:
    """Return the median over the outermost level, with an interval from that level's scatter.

    Each lower level is first reduced to its median: iterations in one invocation, or invocations in
    one round, are not independent, however many there are. Only the outermost level is resampled,
    since resampling the lower levels as well would count their noise twice. (Davison and Hinkley,
    "Bootstrap methods and their application", 1997, section 3.8)
    """
    return estimate_median([_middle(value) for value in values], seed)


def paired_ratio(
    values: Mapping[int, float],
    baseline: Mapping[int, float],
    seed: int = 0,
    disturbed: Collection[int] = (),
) -> Estimate:
    """Return the median of value / baseline over the rounds that have both, by round number.

    A round with a baseline of zero has no ratio. `n` counts the rounds that were used, which
    `undisturbed` chooses. Pairing removes effects that a round has on all of its targets alike.
    """
    ratios = {
        number: values[number] / baseline[number]
        for number in sorted(values.keys() & baseline.keys())
        if baseline[number] != 0
    }
    return estimate_median(list(undisturbed(ratios, disturbed).values()), seed)


def scatter_of_ratios(table: Sequence[Sequence[float]]) -> Scatter | None:
    """Return the scatter of the ratio of two targets in a round; `table` has a row per target.

    Rounds are blocks in which each target is measured once, in random order. So the effects of
    rounds and of targets can be removed, and the residuals estimate the noise that all share: three
    rounds of six targets give ten degrees of freedom, where the ratio of two targets alone has two.
    None unless there are two targets, two rounds and only values above zero. (Box, Hunter and
    Hunter, "Statistics for experimenters", 2nd edition 2005, section 4.2)
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
    """Return the undisturbed rounds if they are at least half of all; otherwise return all rounds.

    If most rounds are disturbed, disturbance is this host's normal state, and leaving rounds out
    would bias the figure.
    """
    quiet = {number: value for number, value in values.items() if number not in disturbed}
    return quiet if 2 * len(quiet) >= len(values) else dict(values)


def count_outliers(values: Sequence[float]) -> int:
    """Return the number of outliers: values more than three interquartile ranges beyond a quartile.

    Outliers are counted only, and never dropped.
    """
    if len(values) < FEWEST_POINTS:
        return 0
    lower, _, upper = quantiles(values, method="inclusive")
    reach = _OUTLIER_RANGES * (upper - lower)
    return sum(not lower - reach <= value <= upper + reach for value in values)


def smallest_difference(estimate: Estimate) -> float | None:
    """Return the smallest relative difference that such an estimate detects in 95 % of cases.

    0.05 means 5 % more. It follows from the width of the interval, on a logarithmic scale: a true
    difference is detected if the interval excludes it, so it must exceed half the interval plus
    its own noise. None if the interval is unknown or reaches zero. (Cohen, "Statistical power
    analysis for the behavioral sciences", 1988, section 2.4)
    """
    if estimate.low is None or estimate.high is None or estimate.low <= 0:
        return None
    freedom = max(estimate.n - 1, 1)
    half = math.log(estimate.high / estimate.low) / 2
    power, confidence = (_student_quantile(p, freedom) for p in (POWER, (1 + CONFIDENCE) / 2))
    return math.expm1(half * (1 + power / confidence))


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the Theil-Sen slope of y over x: the median slope of all pairs; NaN without a pair.

    Least squares would be wrong here, since y is measured on the whole host: a single step in which
    another process allocated memory must not tilt the line. (Sen, JASA 1968)
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
    """Return the Theil-Sen slope with Sen's interval; `n` counts the points.

    The interval covers the scatter of these points only, not the differences between rounds.
    """
    n = len(x)
    if len(set(x)) < 2:
        return Estimate(None, None, None, n)
    if n < FEWEST_POINTS:
        return Estimate(slope(x, y), None, None, n)
    return _theil_sen(tuple(x), tuple(y), confidence)


@lru_cache(maxsize=_KEPT_INTERVALS)
def _theil_sen(x: tuple[float, ...], y: tuple[float, ...], confidence: float) -> Estimate:
    """Return the slope and its interval, as scipy.stats.theilslopes does.

    The bounds are ranks among the slopes of all pairs, by the normal approximation of Kendall's S
    with ties. (Sen, JASA 1968, equation 2.6) Importing scipy.stats takes 0.3 s.
    """
    import numpy as np
    from scipy.special import ndtri

    n = len(x)
    across, up = (np.subtract.outer(np.asarray(each, dtype=float), each) for each in (x, y))
    slopes = np.sort(up[across > 0] / across[across > 0])
    alike = [count for values in (x, y) for count in Counter(values).values()]
    variance = 1 / 18 * (_ordered(n) - sum(map(_ordered, alike)))
    centre = float(np.median(slopes))
    if variance < 0:  # too many values are alike for the approximation
        return Estimate(centre, None, None, n)
    reach = -float(ndtri((1 - confidence) / 2)) * math.sqrt(variance)
    low = max(round((len(slopes) - reach) / 2) - 1, 0)
    high = min(round((len(slopes) + reach) / 2), len(slopes) - 1)
    return Estimate(centre, float(slopes[low]), float(slopes[high]), n)


def _ordered(n: int) -> int:
    """Return 18 times the variance of Kendall's S of n values in random order."""
    return n * (n - 1) * (2 * n + 5)


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean, which does not depend on which target is the baseline.

    (Fleming and Wallace, "How not to lie with statistics", CACM 1986)
    """
    return math.exp(math.fsum(math.log(value) for value in values) / len(values))


def _middle(value: Nested) -> float:
    if isinstance(value, Sequence):
        return median(_middle(inner) for inner in value)
    return value


def _widened(centre: float, low: float, high: float, times: float) -> tuple[float, float]:
    """Return both ends `times` as far from the centre, on a logarithmic scale if all are > 0."""
    if times == 1.0:
        return low, high
    centre = min(max(centre, low), high)
    if low > 0:
        return centre * (low / centre) ** times, centre * (high / centre) ** times
    return centre - (centre - low) * times, centre + (high - centre) * times


@lru_cache(maxsize=_KEPT_INTERVALS)
def _bootstrap(values: tuple[float, ...], seed: int, confidence: float) -> tuple[float, float]:
    """Return the percentiles of the medians of resamples, as scipy.stats.bootstrap does."""
    import numpy as np
    from scipy.special import ndtr

    n = len(values)
    outside = 2 * float(
        ndtr(-math.sqrt(n / (n - 1)) * _student_quantile((1 + confidence) / 2, n - 1))
    )
    resamples = np.asarray(values, dtype=float)[_resampled_positions(n, seed)]
    middle = [(n - 1) // 2, n // 2]
    resamples.partition(sorted(set(middle)), axis=1)
    medians = np.sort((resamples[:, middle[0]] + resamples[:, middle[1]]) / 2)
    share = (1 - (1 - outside)) / 2
    return _quantile(medians, share), _quantile(medians, 1 - share)


@lru_cache(maxsize=_KEPT_RESAMPLES)
def _resampled_positions(n: int, seed: int) -> NDArray[np.int64]:
    """Return the positions of the values in each resample, which depend on n and the seed only."""
    import numpy as np

    return np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))


def _quantile(ordered: NDArray[np.float64], share: float) -> float:
    """Return the value below which the share lies, interpolated between the nearest ranks."""
    place = share * len(ordered) + (1 - share)
    low = int(place)
    weight = place % 1
    return float((1 - weight) * ordered[low - 1] + weight * ordered[min(low, len(ordered) - 1)])


@lru_cache(maxsize=1024)
def _student_quantile(share: float, freedom: int) -> float:
    from scipy.special import stdtrit  # as scipy.stats.t, which takes a second to import

    return float(stdtrit(freedom, share))


def _student(
    values: Sequence[float], confidence: float, scatter: Scatter | None = None
) -> tuple[float, float]:
    """Return bounds by Student's t on the logarithms, or on the values if one is not above zero."""
    import numpy as np

    n = len(values)
    multiplies = min(values) > 0
    scale = np.log(values) if multiplies else np.asarray(values, dtype=float)
    centre = float(scale.mean())
    if not scatter or not multiplies:
        scatter = Scatter(float(scale.std(ddof=1)), n - 1)
    quantile = _student_quantile((1 + confidence) / 2, scatter.freedom)
    reach = quantile * scatter.deviation / math.sqrt(n)
    low, high = centre - reach, centre + reach
    return (math.exp(low), math.exp(high)) if multiplies else (low, high)
