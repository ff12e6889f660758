"""Service times: how long an instance works on a request, once it has begun."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lab.errors import InvalidConfig
from lab.scaling import distributions

if TYPE_CHECKING:
    from pathlib import Path

    from lab.scaling.arrays import FloatArray
    from lab.scaling.distributions import Described, Distribution

# A shorter service would vanish in the rounding of a time of day.
_SHORTEST_SECONDS = 1e-9


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """The times of one kind of instance: a distribution that all kinds share, times a factor.

    All kinds of a scenario draw the same random numbers, so that they differ by the factor alone.
    """

    distribution: Distribution
    factor: float = 1.0

    @property
    def mean_seconds(self) -> float:
        """The mean."""
        return self.distribution.mean_seconds * self.factor

    def draw(self, chance: np.random.Generator, count: int) -> FloatArray:
        """Return that many independent values, all above zero."""
        values = self.distribution.draw(chance, count)
        if self.factor != 1.0:
            values = values * self.factor
        return np.maximum(values, _SHORTEST_SECONDS)


def resolve(described: Described, folder: Path) -> Distribution:
    """Return the distribution of a scenario's `service`. Raise InvalidConfig with the key."""
    distribution = distributions.resolve("service", described, folder)
    if distribution.mean_seconds <= 0:
        raise InvalidConfig("service: the mean must be above zero.")
    return distribution
