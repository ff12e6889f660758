"""The figures of a run that claims are judged by, or the reason why a figure is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, wraps
from statistics import median
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from lab import units
from lab.analysis import labels, series, summary
from lab.analysis.stored_texts import stored
from lab.claims import missing
from lab.language.message import Message, joined
from lab.statistics.estimates import (
    CONFIDENCE,
    Estimate,
    Scatter,
    estimate_median,
    estimate_slope,
    geometric_mean,
    paired_ratio,
    scatter_of_ratios,
    undisturbed,
)
from lab.targets.registry import MACHINES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from lab.results.run_folder import Run

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
_KEPT_RUNS = 8  # more than are compared at once


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure for display, in `unit`; `low` and `high` are None where unknown.

    `n` is the number of rounds or points, as in "15 rounds". `exact` marks a counted value.
    `metric` is the part of a ratio's name that is no target.
    """

    name: str
    centre: float
    low: float | None
    high: float | None
    unit: str
    n: str
    exact: bool = False
    metric: str = ""

    @property
    def value(self) -> str:
        """The name, the value and the unit, which is that of the interval."""
        size = units.quantity(self.centre, self.unit, self.high or 0.0)
        return joined(" ", (self.name, size))

    @property
    def interval(self) -> str:
        """The interval with its unit; `exact` for a count."""
        if self.exact:
            return Message("exact")
        return units.interval(self.low, self.high, self.unit)


def _once(
    method: Callable[Concatenate[Evidence, Arguments], Result],
) -> Callable[Concatenate[Evidence, Arguments], Result]:
    """Return the method, which works out its figure once for the same arguments."""

    @wraps(method)
    def kept(evidence: Evidence, /, *given: Arguments.args, **named: Arguments.kwargs) -> Result:
        key = (method.__name__, given, tuple(sorted(named.items())))
        if key not in evidence.kept:
            evidence.kept[key] = method(evidence, *given, **named)
        return cast("Result", evidence.kept[key])

    return kept


@lru_cache(maxsize=_KEPT_RUNS)
def evidence_of(run: Run) -> Evidence:
    """Return the evidence of a run, whose figures are worked out once for all that show them."""
    return Evidence(run)


class Evidence:
    """Access to the figures of a run by name. A figure that the run lacks is None.

    `kept` has the figures that were worked out before. A run may not record its accelerator: then
    its machines are known neither as `emulated` nor as `under_kvm`.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.kept: dict[object, object] = {}
        self.emulated = run.settings.get("accelerator") == "tcg"
        self.under_kvm = run.settings.get("accelerator") == "kvm"

    @cached_property
    def _measurements(self) -> dict[tuple[str, str, str], summary.Measurement]:
        return {(m.experiment, m.target, m.metric): m for m in summary.measurements(self.run)}

    def label(self, target: str) -> str:
        """Return the target's name for display."""
        return summary.label(target, self.run)

    def measured(self, experiment: str, target: str, metric: str) -> Figure | None:
        """Return the median of a metric over its rounds."""
        measurement = self._measurements.get((experiment, target, metric))
        if measurement is None or measurement.median is None:
            return None
        exact = summary.is_exact(measurement)
        return Figure(
            _named(self.label(target), labels.metric(metric)),
            measurement.median,
            measurement.median if exact else measurement.low,
            measurement.median if exact else measurement.high,
            measurement.unit,
            _COUNTED if exact else _rounds(measurement.n),
            exact,
        )

    @_once
    def compared(self, experiment: str, metric: str, target: str, baseline: str) -> Figure | None:
        """Return target / baseline of a metric, paired by round; exact if both are."""
        ours = self.measured(experiment, target, metric)
        theirs = self.measured(experiment, baseline, metric)
        if not ours or not theirs:
            return None
        of = series.one(self.run, experiment, target, metric)
        estimate = paired_ratio(
            of.by_round(),
            series.one(self.run, experiment, baseline, metric).by_round(),
            self.run.seed,
            summary.disturbed_rounds(of, self.run),
        )
        shown = labels.metric(metric)
        name = Message("{metric}, {pair}", metric=shown, pair=self._pair(target, baseline))
        figure = _figure(name, estimate, "ratio", shown)
        if figure and ours.exact and theirs.exact:
            return replace(
                figure, low=estimate.centre, high=estimate.centre, n=_COUNTED, exact=True
            )
        return figure

    def extremes(self, experiment: str, target: str, metric: str) -> tuple[float, float] | None:
        """Return the smallest and the largest sample, for promises that no round may break."""
        values = series.one(self.run, experiment, target, metric).values
        return (min(values), max(values)) if values else None

    def metrics(self, experiment: str, target: str, prefix: str) -> list[Figure]:
        """Return the medians of the target's metrics whose names begin with the prefix."""
        return [
            figure
            for of, name, metric in self._measurements
            if (of, name) == (experiment, target)
            and metric.startswith(prefix)
            and (figure := self.measured(of, name, metric))
        ]

    def note(self, experiment: str, target: str, metric: str) -> str:
        """Return the note of the metric's last sample; empty if it has none."""
        notes = list(filter(None, series.one(self.run, experiment, target, metric).notes))
        return notes[-1] if notes else ""

    def fastest_burst(self, target: str) -> tuple[int, Figure] | None:
        """Return the largest number requested at once, and its rate as a median over rounds."""
        of = series.one(self.run, "burst", target, "started-per-second")
        if not of.values:
            return None
        most = max(of.positions)
        rates = of.at_position(most).by_round()
        name = Message(
            "{target} started per second, {count} at once", target=self.label(target), count=most
        )
        figure = _figure(name, estimate_median(list(rates.values()), self.run.seed), "/s")
        return (most, figure) if figure else None

    def cpu_virtualization(self) -> str | None:
        """Return vmx or svm; empty if the CPU has neither, None if the run does not record it."""
        flag: str | None = self.run.settings.get("cpu_virtualization")
        return flag

    def process_ids(self) -> float:
        """Return the number of process ids of the host."""
        for fact in self.run.host.get("facts", ()):
            if fact.get("name") == "process ids" and str(fact.get("value")).isdigit():
                return float(fact["value"])
        return 32768.0

    def failures(self, experiment: str, target: str) -> tuple[int, list[str]]:
        """Return the number of the target's censored samples, and their distinct reasons."""
        return missing.failures(self.run, experiment, target)

    def missing(self, experiment: str, *targets: str) -> str:
        """Return the reason why the run has no figure of the targets, without a full stop."""
        return missing.reason(self.run, experiment, targets)

    @_once
    def mean_ratio(self, target: str, baseline: str) -> Figure | None:
        """Return target / baseline of all workloads: the median of a geometric mean per round."""
        by_workload = self._ratios_by_workload(target, baseline)
        if not by_workload:
            return None
        rounds = set.intersection(*(set(ratios) for ratios in by_workload.values()))
        means = [
            geometric_mean([ratios[number] for ratios in by_workload.values()])
            for number in sorted(rounds)
        ]
        pair, count = self._pair(target, baseline), len(by_workload)
        name = (
            Message("{pair}, the only workload", pair=pair)
            if count == 1
            else Message("{pair}, mean of {count} workloads", pair=pair, count=count)
        )
        return _figure(name, estimate_median(means, self.run.seed), "ratio")

    @_once
    def workload_ratios(
        self, target: str, baseline: str, confidence: float = CONFIDENCE
    ) -> list[Figure]:
        """Return target / baseline of each workload, the slowest first.

        With few rounds, the interval uses the scatter of all targets of the same kind.
        """
        pair = self._pair(target, baseline)
        seed = self.run.seed
        figures = [
            _figure(
                Message("{pair}, {metric}", pair=pair, metric=labels.metric(metric)),
                estimate_median(
                    list(ratios.values()),
                    seed,
                    confidence,
                    self._scatter(metric, {target, baseline}, ratios),
                ),
                "ratio",
                labels.metric(metric),
            )
            for metric, ratios in self._ratios_by_workload(target, baseline).items()
        ]
        return sorted(filter(None, figures), key=lambda figure: -figure.centre)

    def kvm_works(self) -> bool | None:
        """Return True if a Linux guest ran under KVM on the host; None if it was not tried."""
        works: bool | None = self.run.host.get("kvm", {}).get("works")
        return works

    @_once
    def _ratios_by_workload(self, target: str, baseline: str) -> dict[str, dict[int, float]]:
        """Return ratios by workload and round, of workloads and rounds that both targets have.

        Workloads on a network or a volume are left out: their cost depends on how the instance is
        attached, and there are many ways to do that.
        """
        described = self.run.settings.get("workloads", {}).values()
        attached = {m for each in described if each.get("attached") for m in each["results"]}
        result = {}
        for metric, by_target in series.of_experiment(self.run, "performance").items():
            if summary.metric(self.run, "performance", metric).explains or metric in attached:
                continue
            if target not in by_target or baseline not in by_target:
                continue
            ours, theirs = self._costs(metric, target), self._costs(metric, baseline)
            both = sorted(n for n in ours.keys() & theirs.keys() if min(ours[n], theirs[n]) > 0)
            if both:
                ratios = {number: ours[number] / theirs[number] for number in both}
                disturbed = summary.disturbed_rounds(by_target[target], self.run)
                result[metric] = undisturbed(ratios, disturbed)
        return result

    def _scatter(
        self, metric: str, compared: Collection[str], rounds: Collection[int]
    ) -> Scatter | None:
        """Return the scatter of ratios within rounds, from all targets that have all the rounds.

        Machines scatter differently and are left out, unless a machine is compared.
        """
        measured = sorted(series.of_experiment(self.run, "performance").get(metric, ()))
        costs = [
            self._costs(metric, name)
            for name in measured
            if name in compared or not {name, *compared} & set(MACHINES)
        ]
        complete = [each for each in costs if each.keys() >= set(rounds)]
        table = [[each[number] for number in rounds] for each in complete]
        return scatter_of_ratios(table)

    @_once
    def memory_each(self, target: str, confidence: float = CONFIDENCE) -> Figure | None:
        """Return how much of the host's MemAvailable one more instance takes.

        The interval comes from several rounds, or from the points of a single round.
        """
        of = series.one(self.run, "density", target, "memory-available")
        rounds = set(of.rounds)
        name = _named(self.label(target), Message("memory per instance"))
        if len(rounds) > 1:
            figure = self.measured("density", target, "memory-per-instance-available")
            return figure and replace(figure, name=name)
        if not rounds:
            return None
        taken = [-value for value in of.values]
        estimate = estimate_slope(of.positions, taken, confidence)
        figure = _figure(name, estimate, "byte")
        return figure and replace(figure, n=_points(estimate.n))

    def memory_ratio(self, target: str, baseline: str) -> Figure | None:
        """Return target / baseline of the memory of one more instance, paired by round.

        The two slopes of a single round come from different times. The interval then uses the least
        favourable ends of two intervals that hold simultaneously in 95 % of cases (Bonferroni).
        """
        paired = self.compared("density", "memory-per-instance-available", target, baseline)
        name = Message("memory per instance, {pair}", pair=self._pair(target, baseline))
        if paired and paired.low is not None:
            return replace(paired, name=name)
        alone = 1 - (1 - CONFIDENCE) / 2
        ours, theirs = self.memory_each(target, alone), self.memory_each(baseline, alone)
        if not ours or not theirs or theirs.centre <= 0:
            return None
        low = high = None
        if ours.low is not None and ours.high is not None and theirs.low and theirs.high:
            # A slope that may be zero or negative bounds no ratio.
            low = ours.low / theirs.high if theirs.low > 0 else None
            high = ours.high / theirs.low if theirs.low > 0 else None
        n = joined(" / ", (ours.n, theirs.n))
        return Figure(name, ours.centre / theirs.centre, low, high, "ratio", n)

    def free_memory_bytes(self, target: str) -> float | None:
        """Return MemAvailable before the first instance was started."""
        empty = series.one(self.run, "density", target, "memory-available").at_position(0)
        return median(empty.values) if empty.values else None

    def host_limit(self, target: str) -> str:
        """Return the limit of the host that ended its filling; empty if the planned count did.

        A run that does not record what ended the filling counts as having reached no limit.
        """
        notes = series.one(self.run, "density", target, "running").notes
        density = self.run.settings.get("density", {})
        stop = str(density.get(target, {}).get("stop", "")) or (notes[-1] if notes else "")
        stop = stop.removeprefix("stopped by ")
        return "" if stop.startswith("count") else stored(stop)

    def _pair(self, target: str, baseline: str) -> Message:
        return labels.pair(self.label(target), self.label(baseline))

    @_once
    def _costs(self, metric: str, target: str) -> dict[int, float]:
        """Return the cost of a unit of a workload's work by round."""
        of = series.one(self.run, "performance", target, metric)
        return summary.costs_by_round(of, self.run)


_COUNTED = Message("counted")


def _figure(name: str, estimate: Estimate, unit: str, metric: str = "") -> Figure | None:
    if estimate.centre is None:
        return None
    n = _rounds(estimate.n)
    return Figure(name, estimate.centre, estimate.low, estimate.high, unit, n, metric=metric)


def _named(target: str, metric: str) -> Message:
    return Message("{target} {metric}", target=target, metric=metric)


def _rounds(n: int) -> Message:
    return Message("1 round") if n == 1 else Message("{n} rounds", n=n)


def _points(n: int) -> Message:
    return Message("1 point") if n == 1 else Message("{n} points", n=n)
