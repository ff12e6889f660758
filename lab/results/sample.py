"""Samples and rounds: the rows of a run folder's tables."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from lab.host import disturbance

if TYPE_CHECKING:
    from lab.host.disturbance import Conditions
    from lab.metrics import Metric, Unit


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured value, or the reason why there is none.

    `value` is in `unit`; None means that the sample is censored, and `censored` then gives the
    reason: a start that hung, a workload that failed. A value that is not finite censors the
    sample as well. `position` counts within a round: the number of the instance in a density run.
    `note` adds what a reader of the value must know, such as the limit that ended a density run.
    """

    experiment: str
    target: str
    metric: str
    unit: Unit
    round: int
    value: float | None
    position: int = 0
    censored: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Censor a value that is not finite."""
        if self.value is not None and (why := not_finite(self.value)):
            object.__setattr__(self, "value", None)
            object.__setattr__(self, "censored", self.censored or f"{self.metric}: {why}")


def sample(
    metric: Metric,
    target: str,
    number: int,
    value: float | None,
    *,
    position: int = 0,
    censored: str = "",
    note: str = "",
) -> Sample:
    """Return a sample of a metric that one target gave in round `number`."""
    return Sample(
        metric.experiment, target, metric.name, metric.unit, number, value, position, censored, note
    )


def not_finite(value: float) -> str:
    """Return why a number can't be a figure; empty if it can."""
    try:
        number = float(value)
    except OverflowError:
        return "the value is larger than any floating-point number"
    return "" if math.isfinite(number) else f"the value is {number}, which is not a finite number"


@dataclass(frozen=True, slots=True)
class Round:
    """One round: `order` has the targets in the order measured, `conditions` the host's state."""

    experiment: str
    number: int
    began: str
    order: tuple[str, ...]
    conditions: Conditions


COLUMNS = tuple(field.name for field in fields(Sample))
ROUND_COLUMNS = ("experiment", "round", "began", "order", *disturbance.COLUMNS)
