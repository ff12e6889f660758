"""Two targets side by side: values and ratios round by round, and the steps of a start."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from lab.analysis import series, summary
from lab.analysis.step_names import step_name
from lab.metrics import STEP, STEP_BEGIN
from lab.statistics.estimates import Estimate, estimate_median, paired_ratio, undisturbed

if TYPE_CHECKING:
    from lab.results.run_folder import Run


@dataclass(frozen=True, slots=True)
class Pairs:
    """The costs of two targets by round, from the rounds that have both.

    Both are times, or the inverse of a rate, so that more is always slower. `estimate` is the
    median of their ratios with its interval.
    """

    target: str
    baseline: str
    costs: dict[int, float]
    baseline_costs: dict[int, float]
    estimate: Estimate

    @property
    def ratios(self) -> dict[int, float]:
        """The ratio of each round."""
        return {number: cost / self.baseline_costs[number] for number, cost in self.costs.items()}


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a start: when it begins after the request, and how long it takes; medians.

    The name is a message where it is known.
    """

    name: str
    begin_seconds: float
    seconds: float

    @property
    def end_seconds(self) -> float:
        """The time from the request to the end of the step."""
        return self.begin_seconds + self.seconds


def of(run: Run, experiment: str, metric: str, target: str, baseline: str) -> Pairs:
    """Return both targets' undisturbed rounds, as the figures use them."""
    first, second = (series.one(run, experiment, name, metric) for name in (target, baseline))
    ours, theirs = (summary.costs_by_round(each, run) for each in (first, second))
    both = {number: cost for number, cost in ours.items() if theirs.get(number)}
    disturbed = summary.disturbed_rounds(first, run)
    costs = undisturbed(both, disturbed)
    return Pairs(
        target=target,
        baseline=baseline,
        costs=costs,
        baseline_costs={number: theirs[number] for number in costs},
        estimate=paired_ratio(ours, theirs, run.seed, disturbed),
    )


def figure(run: Run, experiment: str, metric: str, target: str) -> Estimate:
    """Return a target's median of undisturbed rounds, without the figures of the whole run.

    It is that of `summary.measurements`, which takes seconds for a run of many targets.
    """
    of = series.one(run, experiment, target, metric)
    values = undisturbed(of.by_round(), summary.disturbed_rounds(of, run))
    return estimate_median(list(values.values()), run.seed)


def steps(run: Run, target: str) -> tuple[Step, ...]:
    """Return the steps of a target's start in order; empty if the run has none."""
    medians = {
        metric: median(by_target[target].values)
        for metric, by_target in series.of_experiment(run, "startup").items()
        if target in by_target and by_target[target].values
    }
    found = [
        Step(step_name(name), medians[f"{STEP_BEGIN.prefix}{name}"], seconds)
        for metric, seconds in medians.items()
        if metric.startswith(STEP.prefix)
        and f"{STEP_BEGIN.prefix}{(name := metric.removeprefix(STEP.prefix))}" in medians
    ]
    return tuple(sorted(found, key=lambda step: step.begin_seconds))
