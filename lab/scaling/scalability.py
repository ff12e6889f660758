"""The Universal Scalability Law, fitted to a curve of throughput over the number of instances.

    X(N) = λ·N / (1 + σ·(N - 1) + κ·N·(N - 1))

λ is the throughput of one, σ the share of the work that is serial (contention), κ the cost of each
pair that has to agree (coherency). The throughput is largest at N = √((1 - σ) / κ). (Gunther,
"Guerrilla capacity planning", 2007, chapters 4 and 5)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares

from lab.statistics.estimates import CONFIDENCE, Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.scaling.arrays import FloatArray

FEWEST_POINTS = 4  # one more than there are parameters
_RESAMPLES = 200
_FARTHEST = 10  # times the largest count: a maximum beyond it is none that the points can show


@dataclass(frozen=True, slots=True)
class Scalability:
    """The fitted law: its parameters, and the number and the throughput at the peak.

    `peak_at` and `peak` have no centre where the fitted curve has no maximum within ten times the
    largest count; an end of an interval is infinite where more than 2.5 % of the resampled curves
    have none.
    """

    throughput_of_one: Estimate
    contention: Estimate
    coherency: Estimate
    peak_at: Estimate
    peak: Estimate

    def predict(self, count: float) -> float:
        """Return the throughput of a number of instances."""
        parameters = (self.throughput_of_one, self.contention, self.coherency)
        values = np.array([estimate.centre for estimate in parameters], dtype=float)
        return float(_law(values, np.array([float(count)]))[0])


def fit(counts: Sequence[float], throughputs: Sequence[float], seed: int = 0) -> Scalability | None:
    """Return the law that fits best, with intervals by resampling the residuals.

    The errors are taken to be in proportion to the throughput. None with fewer than four different
    counts, or a throughput that is not above zero. (Efron and Tibshirani, "An introduction to the
    bootstrap", 1993, section 9.4)
    """
    n, x = np.asarray(counts, dtype=float), np.asarray(throughputs, dtype=float)
    if len(set(n.tolist())) < FEWEST_POINTS or min(x.min(), n.min()) <= 0:
        return None
    best = _fit(n, x)
    fitted = _law(best, n)
    residuals = np.log(x / fitted) * math.sqrt(len(n) / (len(n) - len(best)))
    chance = np.random.default_rng(seed)
    draws = np.array([
        _fit(n, fitted * np.exp(chance.choice(residuals, len(n))), best) for _ in range(_RESAMPLES)
    ])  # fmt: skip
    peaks = np.array([_peak(draw, n.max()) for draw in draws])
    at, largest = _peak(best, n.max())
    centres, columns = (*best.tolist(), at, largest), np.column_stack((draws, peaks)).T
    estimates = (_estimate(*each, len(n)) for each in zip(centres, columns, strict=True))
    return Scalability(*estimates)


def _law(parameters: FloatArray, n: FloatArray) -> FloatArray:
    one, contention, coherency = parameters
    result: FloatArray = one * n / (1 + contention * (n - 1) + coherency * n * (n - 1))
    return result


def _fit(n: FloatArray, x: FloatArray, start: FloatArray | None = None) -> FloatArray:
    begin = np.array([float((x / n).max()), 0.05, 1e-4]) if start is None else start
    scale = np.array([begin[0], 0.1, 1e-3])
    low = np.array([1e-12 * begin[0], 0.0, 0.0])
    inside = np.maximum(begin, low + 1e-9 * scale)

    def residuals(parameters: FloatArray) -> FloatArray:
        errors: FloatArray = np.log(_law(parameters, n) / x)
        return errors

    found = least_squares(
        residuals,
        inside,
        bounds=(low, np.array([np.inf, 1.0, np.inf])),
        x_scale=scale,
    )
    result: FloatArray = np.asarray(found.x, dtype=float)
    return result


def _peak(parameters: FloatArray, largest: float) -> tuple[float, float]:
    """Return the number and the throughput at the maximum; infinite without one."""
    _, contention, coherency = parameters
    at = math.sqrt((1 - contention) / coherency) if coherency > 0 else math.inf
    if at > _FARTHEST * largest:
        return math.inf, math.inf
    at = max(1.0, at)
    return at, float(_law(parameters, np.array([at]))[0])


def _estimate(centre: float, draws: FloatArray, n: int) -> Estimate:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf")
    shown = float(centre) if math.isfinite(centre) else None
    return Estimate(shown, float(low), float(high), n)
