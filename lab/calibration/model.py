"""The result of a calibration, and the bounds that the lab must meet on a host.

A target against itself must show no difference, an injected slow-down must be detected, the harness
must add almost nothing, and clocks and channels must be as accurate as assumed. The measuring is
done by lab/calibration/run.py.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from lab.calibration import names
from lab.statistics.estimates import Estimate, estimate_median

if TYPE_CHECKING:
    from lab.host.disturbance import Conditions

CORRECT_SHARE = 0.95  # of the repetitions
# A lab that is correct in 95 % of cases or fewer has so many correct results in a row with a
# probability below 5 %. (Wilks, Annals of Mathematical Statistics 1941)
FEWEST_REPETITIONS = 59
REPETITIONS = 200
ADDED_SHARE, ADDED_SECONDS = 0.02, 0.2e-3  # the larger of the two applies


@dataclass(frozen=True, slots=True)
class Timer:
    """The host's CLOCK_MONOTONIC: its resolution, its smallest step, and the time to read it."""

    resolution_ns: int
    step_ns: int
    read_ns: float


@dataclass(frozen=True, slots=True)
class Overhead:
    """The time that the harness adds to something that takes `timed_seconds`.

    `added` is the median difference within pairs; its interval must lie below `bound_seconds`.
    """

    what: str
    timed_seconds: float
    added: Estimate
    bound_seconds: float
    met: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """The repetitions of a trial, and how many of them gave the correct result.

    `size` is the injected difference. Without one, the interval is correct if it holds 1; with one,
    if it lies above 1. `precision` is the requested precision, None where the number of rounds was
    fixed; `too_wide` counts repetitions that did not reach it within MOST_ROUNDS. `low` and `high`
    bound the true share at 95 % (Clopper and Pearson, Biometrika 1934). `met` is None with fewer
    than FEWEST_REPETITIONS, unless their interval excludes the bound.
    """

    what: str
    size: float
    precision: float | None
    repetitions: int
    rounds: float
    right: int
    too_wide: int
    low: float
    high: float
    met: bool | None

    @property
    def share(self) -> float:
        """The share of repetitions with a correct result."""
        return self.right / self.repetitions


@dataclass(frozen=True, slots=True)
class TargetChannels:
    """A target's channels in seconds, and the drift of its clock in seconds per second."""

    target: str
    agent: Estimate
    console: Estimate
    drift: Estimate


@dataclass
class Calibration:
    """A whole calibration with time and place; `conditions` describe the host meanwhile.

    `failures` are sentences about targets that did not start or whose channels did not answer.
    """

    host: str
    kernel: str
    began: str
    seed: int
    timer: Timer
    added: list[Overhead] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    channels: list[TargetChannels] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    conditions: Conditions | None = None

    def missed(self) -> list[str]:
        """Return the bounds that were not met."""
        added = [str(names.time_added(each.what)) for each in self.added if not each.met]
        return added + [each.what for each in self.trials if each.met is False]

    def undecided(self) -> list[str]:
        """Return the trials with too few repetitions to decide on their bound."""
        return [each.what for each in self.trials if each.met is None]

    def document(self) -> dict[str, Any]:
        """Return the calibration as a JSON document."""
        return {**asdict(self), "missed": self.missed()}


def judge_overhead(what: str, pairs: list[tuple[float, float]]) -> Overhead:
    """Return the overhead from pairs of seconds: with the harness, and without it."""
    timed = median(without for _, without in pairs)
    added = estimate_median([by_harness - without for by_harness, without in pairs])
    bound = max(ADDED_SHARE * timed, ADDED_SECONDS)
    return Overhead(
        str(what), timed, added, bound, met=added.high is not None and added.high <= bound
    )


def judge_trial(
    what: str, size: float, precision: float | None, rounds: list[int], right: int, too_wide: int
) -> Trial:
    """Return the trial with its verdict; `rounds` has the number of rounds of each repetition."""
    from scipy.stats import binomtest

    repetitions = len(rounds)
    bounds = binomtest(right, repetitions).proportion_ci(0.95)
    return Trial(
        what=str(what),
        size=size,
        precision=precision,
        repetitions=repetitions,
        rounds=median(rounds),
        right=right,
        too_wide=too_wide,
        low=float(bounds.low),
        high=float(bounds.high),
        met=_met_bound(right, repetitions, float(bounds.high)),
    )


def _met_bound(right: int, repetitions: int, high: float) -> bool | None:
    if repetitions >= FEWEST_REPETITIONS:
        return right >= CORRECT_SHARE * repetitions
    return False if high < CORRECT_SHARE else None


def is_right(ratio: Estimate, size: float) -> bool:
    """Return True if the ratio's interval shows the injected difference, or none if size is 0."""
    if ratio.low is None or ratio.high is None:
        return False
    return ratio.low > 1 if size else ratio.low <= 1 <= ratio.high
