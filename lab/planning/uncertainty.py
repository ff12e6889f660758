"""Uncertainty of a plan: how often its hosts suffice if measured figures differ by their error.

What is drawn is a figure as a run gives it: the median over its rounds, with the rounds drawn anew
with replacement (Efron and Tibshirani, "An introduction to the bootstrap", 1993), or a slope within
its interval. All replicas whose size depends on the figure change together. The scatter of single
replicas is another matter: it averages out on a host with many. `per_replica` adds it, and takes
the scatter of rounds for it.

A plan holds in a draw if every host holds what is placed on it, without moving any replica. (Where
only the chance of each single host is bounded, this is bin packing with chance constraints: Cohen,
Keller, Mirrokni and Zadimoghaddam, "Overcommitment in cloud services", Management Science 2019.)
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from lab.planning.inventory import Service
    from lab.planning.measured import MeasuredFigure
    from lab.planning.plan import Plan
    from lab.planning.wrapping import Uncertain

    Floats = NDArray[np.float64]

DRAWS = 1000
_TOLERANCE = 1e-9  # of a host: rounding errors of sums
_NORMAL_95 = 1.959964  # half the width of a 95 % interval, in standard deviations
_LEAST, _MOST = 2.0**-53, 1 - 2.0**-53  # a uniform number whose normal quantile is finite
_SHORTAGES = 5
_MOST_NUMBERS = 1_000_000  # drawn at once


@dataclass(frozen=True, slots=True)
class Shortage:
    """The share of draws in which this kind of host is the fullest of those that overflow."""

    host: str
    resource: str
    share: float


@dataclass(frozen=True, slots=True)
class Contribution:
    """A measured figure's share of the variance of the fullest host, and the services that have it.

    The figure with the largest share is the one to measure again, with more rounds.
    """

    figure: MeasuredFigure
    services: tuple[str, ...]
    share: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """The share of draws in which the plan's hosts suffice, and what decides it.

    `unknown` has the figures that were measured once and have no interval: they are not drawn.
    """

    draws: int
    share: float
    shortages: tuple[Shortage, ...]
    contributions: tuple[Contribution, ...]
    unknown: tuple[MeasuredFigure, ...]


class Draws:
    """Deviations of measured figures from their centres, drawn once for all plans to be compared.

    `uncertain` are the parts of requests that were measured.
    """

    def __init__(
        self,
        uncertain: Sequence[Uncertain],
        *,
        draws: int = DRAWS,
        seed: int = 0,
        per_replica: bool = False,
    ) -> None:
        self.uncertain = tuple(uncertain)
        self.figures = tuple(dict.fromkeys(part.figure for part in uncertain))
        self.number = draws
        self._seed = seed
        self._per_replica = per_replica
        chance = np.random.default_rng(seed)
        self._deviations = np.empty((len(self.figures), draws))
        for place, figure in enumerate(self.figures):
            self._deviations[place] = _deviations(figure, draws, chance)

    def assess(self, plan: Plan, services: Sequence[Service]) -> Reliability:
        """Return how often the plan's hosts suffice for the services.

        The plan may have been made for larger requests than those of the services, to be safe.
        """
        loads = _Loads.of(plan, services, self)
        drawn = loads.load[:, :, None] + loads.weights @ self._deviations
        if self._per_replica:
            drawn += self._scatter(loads)
        fullness = _fullness(drawn, loads.capacity[:, :, None])
        return Reliability(
            draws=self.number,
            share=float((fullness.max(axis=(0, 1), initial=0.0) <= 1 + _TOLERANCE).mean()),
            shortages=loads.shortages(fullness),
            contributions=self._contributions(loads),
            unknown=tuple(each for each in self.figures if not _has_error(each)),
        )

    def quantiles(self, share: float) -> dict[MeasuredFigure, float]:
        """Return by how much each figure exceeds its centre, at most, in that share of draws."""
        if not self.figures:
            return {}
        above = np.maximum(np.quantile(self._deviations, share, axis=1, method="higher"), 0.0)
        return dict(zip(self.figures, map(float, above), strict=True))

    def _scatter(self, loads: _Loads) -> Floats:
        """Return the largest deviation of the replicas on one of each pattern's hosts.

        A host's sum of independent replicas is taken as normal. The largest of n such sums is the
        normal quantile of the n-th root of a uniform number.
        """
        from scipy.stats import norm

        variances = np.array([_variance(figure) for figure in self.figures])
        deviation = np.sqrt(loads.squares @ variances)[:, :, None]
        chance = np.random.default_rng((self._seed, 1))
        uniform = chance.random((*loads.load.shape, self.number))
        roots = np.clip(uniform ** (1 / loads.times[:, None, None]), _LEAST, _MOST)
        scatter: Floats = deviation * norm.ppf(roots)
        return scatter

    def _contributions(self, loads: _Loads) -> tuple[Contribution, ...]:
        """Return each figure's share of the variance of the fullest host, with it alone drawn."""
        variances = [
            loads.variance_of_fullest(place, self._deviations[place])
            for place in range(len(self.figures))
        ]
        total = math.fsum(variances)
        services: dict[MeasuredFigure, dict[str, None]] = {}
        for part in self.uncertain:
            services.setdefault(part.figure, {})[part.service] = None
        found = [
            Contribution(figure, tuple(services[figure]), variance / total)
            for figure, variance in zip(self.figures, variances, strict=True)
            if variance
        ]
        return tuple(sorted(found, key=lambda each: -each.share))


@dataclass(frozen=True, slots=True)
class _Loads:
    """The load of a host of each pattern: patterns × resources, and what each figure adds.

    `weights` has how often a figure is part of the load, `squares` the sum of squares over the
    replicas; both are patterns × resources × figures. `times` is the number of hosts.
    """

    kinds: tuple[str, ...]
    resources: tuple[str, ...]
    capacity: Floats
    load: Floats
    weights: Floats
    squares: Floats
    times: Floats

    @classmethod
    def of(cls, plan: Plan, services: Sequence[Service], draws: Draws) -> _Loads:
        """Return the loads of a plan's patterns, with the services' requests."""
        patterns, resources = plan.solution.patterns, plan.problem.resources
        requests = {service.name: service.requests for service in services}
        figures = {figure: place for place, figure in enumerate(draws.figures)}
        columns = {resource: place for place, resource in enumerate(resources)}
        parts: dict[str, list[Uncertain]] = {}
        for part in draws.uncertain:
            if part.resource in columns:
                parts.setdefault(part.service, []).append(part)
        shape = (len(patterns), len(resources))
        load, capacity = np.zeros(shape), np.zeros(shape)
        weights, squares = np.zeros((*shape, len(figures))), np.zeros((*shape, len(figures)))
        for row, pattern in enumerate(patterns):
            capacity[row] = _amounts(plan.groups[pattern.host][0].capacity, resources)
            for name, count in pattern.counts:
                service = plan.service_of[name]
                load[row] += count * _amounts(requests[service], resources)
                for part in parts.get(service, ()):
                    place = (row, columns[part.resource], figures[part.figure])
                    weights[place] += count * part.factor
                    squares[place] += count * part.factor**2
        return cls(
            kinds=tuple(pattern.host for pattern in patterns),
            resources=resources,
            capacity=capacity,
            load=load,
            weights=weights,
            squares=squares,
            times=np.array([float(pattern.times) for pattern in patterns]),
        )

    def variance_of_fullest(self, place: int, deviations: Floats) -> float:
        """Return the variance of the fullest host's fullness if only that figure deviates."""
        weights = self.weights[:, :, place]
        moved = weights != 0
        still = _fullness(self.load[~moved], self.capacity[~moved]).max(initial=0.0)
        drawn = self.load[moved][:, None] + weights[moved][:, None] * deviations
        fullness = _fullness(drawn, self.capacity[moved][:, None])
        fullest = fullness.max(axis=0, initial=still)
        return float(fullest.var()) if np.ptp(fullest) > _TOLERANCE else 0.0

    def shortages(self, fullness: Floats) -> tuple[Shortage, ...]:
        """Return the kinds of hosts and resources that overflow most, with their share of draws."""
        draws = fullness.shape[2]
        flat = fullness.reshape(-1, draws)
        if not flat.size:
            return ()
        worst = flat.argmax(axis=0)
        overflows = flat[worst, np.arange(draws)] > 1 + _TOLERANCE
        found: Counter[tuple[str, str]] = Counter()
        for place in worst[overflows]:
            row, column = divmod(int(place), len(self.resources))
            found[self.kinds[row], self.resources[column]] += 1
        return tuple(
            Shortage(host, resource, count / draws)
            for (host, resource), count in found.most_common(_SHORTAGES)
        )


def _fullness(load: Floats, capacity: Floats) -> Floats:
    """Return the share of the capacity that a load takes; a load without capacity is infinite."""
    none = np.where(load > 0, np.inf, 0.0)
    full: Floats = np.divide(load, capacity, out=none, where=capacity > 0)
    return full


def _deviations(figure: MeasuredFigure, draws: int, chance: np.random.Generator) -> Floats:
    """Return the drawn deviations of a figure from its centre; the figure stays 0 or more.

    A median of few rounds that are drawn anew scatters too little, by √(1 − 1/n) as a mean does.
    (Hesterberg, The American Statistician 2015, section 5.3)
    """
    n = len(figure.samples)
    if n > 1:
        values = np.array(figure.samples)
        middle = float(np.median(values))
        medians = np.concatenate(
            [
                np.median(values[chance.integers(0, n, size=(block, n))], axis=1)
                for block in _blocks(draws, n)
            ]
        )
        # The centre is the middle rounded up.
        drawn = middle - figure.centre + (medians - middle) * math.sqrt(n / (n - 1))
    elif figure.low is not None and figure.high is not None:
        normal = chance.standard_normal(draws) / _NORMAL_95
        above, below = max(figure.high - figure.centre, 0.0), max(figure.centre - figure.low, 0.0)
        drawn = np.where(normal > 0, normal * above, normal * below)
    else:
        drawn = np.zeros(draws)
    clipped: Floats = np.maximum(drawn, -figure.centre)
    return clipped


def _has_error(figure: MeasuredFigure) -> bool:
    return len(figure.samples) > 1 or (figure.low is not None and figure.high is not None)


def _variance(figure: MeasuredFigure) -> float:
    return float(np.var(figure.samples, ddof=1)) if len(figure.samples) > 1 else 0.0


def _amounts(amounts: Mapping[str, float], resources: Sequence[str]) -> Floats:
    return np.array([amounts.get(resource, 0.0) for resource in resources])


def _blocks(draws: int, n: int) -> Iterator[int]:
    """Yield numbers of draws that add up to all, each few enough for its n numbers to be held."""
    most = max(_MOST_NUMBERS // n, 1)
    while draws > 0:
        yield min(draws, most)
        draws -= most
