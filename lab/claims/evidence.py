"""The figures of a run that claims are judged by, or the reason why a figure is missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from lab import units
from lab.analysis import summary
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
    from collections.abc import Collection

    import pandas as pd

    from lab.results.run_folder import Run


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure for display, in `unit`; `low` and `high` are None where unknown.

    `n` is the number of rounds or points, as in "15 rounds". `exact` marks a counted value.
    """

    name: str
    centre: float
    low: float | None
    high: float | None
    unit: str
    n: str
    exact: bool = False

    @property
    def value(self) -> str:
        """The name, the value and the unit."""
        return f"{self.name} {units.quantity(self.centre, self.unit)}"

    @property
    def interval(self) -> str:
        """The interval with its unit; `exact` for a count."""
        return "exact" if self.exact else units.interval(self.low, self.high, self.unit)


class Evidence:
    """Access to the figures of a run by name. A figure that the run lacks is None."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.emulated = run.settings.get("accelerator") == "tcg"

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
            f"{self.label(target)} {metric}",
            measurement.median,
            measurement.median if exact else measurement.low,
            measurement.median if exact else measurement.high,
            measurement.unit,
            "counted" if exact else _count(measurement.n, "round"),
            exact,
        )

    def compared(self, experiment: str, metric: str, target: str, baseline: str) -> Figure | None:
        """Return target / baseline of a metric, paired by round; exact if both are."""
        ours = self.measured(experiment, target, metric)
        theirs = self.measured(experiment, baseline, metric)
        if not ours or not theirs:
            return None
        samples = self._samples(experiment, target, metric)
        estimate = paired_ratio(
            summary.by_round(samples),
            summary.by_round(self._samples(experiment, baseline, metric)),
            self.run.seed,
            summary.disturbed_rounds(samples, self.run),
        )
        name = f"{metric}, {self.label(target)} / {self.label(baseline)}"
        figure = _figure(name, estimate, "ratio")
        if figure and ours.exact and theirs.exact:
            return replace(
                figure, low=estimate.centre, high=estimate.centre, n="counted", exact=True
            )
        return figure

    def extremes(self, experiment: str, target: str, metric: str) -> tuple[float, float] | None:
        """Return the smallest and the largest sample, for promises that no round may break."""
        values = self._samples(experiment, target, metric)["value"]
        return None if values.empty else (float(values.min()), float(values.max()))

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
        notes = [note for note in self._samples(experiment, target, metric)["note"] if note]
        return str(notes[-1]) if notes else ""

    def fastest_burst(self, target: str) -> tuple[int, Figure] | None:
        """Return the largest number requested at once, and its rate as a median over rounds."""
        samples = self._samples("burst", target, "started-per-second")
        if samples.empty:
            return None
        most = int(samples["position"].max())
        rates = summary.by_round(samples[samples["position"] == most])
        name = f"{self.label(target)} started per second, {most} at once"
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
        samples = self.run.samples
        failed = samples[
            (samples["experiment"] == experiment)
            & (samples["target"] == target)
            & samples["value"].isna()
        ]
        return len(failed), list(dict.fromkeys(map(str, failed["censored"])))

    def missing(self, experiment: str, target: str) -> str:
        """Return the reason why the run has no figure of the target, without a full stop."""
        if reason := self.run.settings.get("untested", {}).get(experiment):
            return f"{experiment} can't be measured on this host: {reason}"
        if experiment not in self.run.settings.get("experiments", ()):
            return f"{experiment} was not measured in this run"
        if reason := self.run.settings.get("absent", {}).get(target):
            return f"{target} is absent on this host: {reason}"
        count, reasons = self.failures(experiment, target)
        if count:
            return f"all {count} attempts of {target} failed: {reasons[0]}"
        return f"{target} has no finished round of {experiment} in this run"

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
        name = (
            f"{self.label(target)} / {self.label(baseline)}, mean of {len(by_workload)} workloads"
        )
        return _figure(name, estimate_median(means, self.run.seed), "ratio")

    def workload_ratios(
        self, target: str, baseline: str, confidence: float = CONFIDENCE
    ) -> list[Figure]:
        """Return target / baseline of each workload, the slowest first.

        With few rounds, the interval uses the scatter of all targets of the same kind.
        """
        pair = f"{self.label(target)} / {self.label(baseline)}"
        seed = self.run.seed
        figures = [
            _figure(
                f"{pair}, {metric}",
                estimate_median(
                    list(ratios.values()),
                    seed,
                    confidence,
                    self._scatter(metric, {target, baseline}, ratios),
                ),
                "ratio",
            )
            for metric, ratios in self._ratios_by_workload(target, baseline).items()
        ]
        return sorted(filter(None, figures), key=lambda figure: -figure.centre)

    def kvm_works(self) -> bool | None:
        """Return True if a Linux guest ran under KVM on the host; None if it was not tried."""
        works: bool | None = self.run.host.get("kvm", {}).get("works")
        return works

    def _ratios_by_workload(self, target: str, baseline: str) -> dict[str, dict[int, float]]:
        """Return ratios by workload and round, of workloads and rounds that both targets have.

        Workloads on a network or a volume are left out: their cost depends on how the instance is
        attached, and there are many ways to do that.
        """
        described = self.run.settings.get("workloads", {}).values()
        attached = {m for each in described if each.get("attached") for m in each["results"]}
        samples = self.run.samples[self.run.samples["experiment"] == "performance"]
        result = {}
        for metric, of_metric in samples.groupby("metric", sort=False):
            if summary.metric(self.run, "performance", str(metric)).explains or metric in attached:
                continue
            ours, theirs = (
                summary.costs_by_round(of_metric[of_metric["target"] == name], self.run)
                for name in (target, baseline)
            )
            both = sorted(n for n in ours.keys() & theirs.keys() if min(ours[n], theirs[n]) > 0)
            if both:
                ratios = {number: ours[number] / theirs[number] for number in both}
                disturbed = summary.disturbed_rounds(of_metric, self.run)
                result[str(metric)] = undisturbed(ratios, disturbed)
        return result

    def _scatter(
        self, metric: str, compared: Collection[str], rounds: Collection[int]
    ) -> Scatter | None:
        """Return the scatter of ratios within rounds, from all targets that have all the rounds.

        Machines scatter differently and are left out, unless a machine is compared.
        """
        samples = self.run.samples
        at_work = samples["experiment"] == "performance"
        of_metric = samples[at_work & (samples["metric"] == metric)]
        costs = [
            summary.costs_by_round(of_target, self.run)
            for name, of_target in of_metric.groupby("target")
            if name in compared or not {name, *compared} & set(MACHINES)
        ]
        complete = [each for each in costs if each.keys() >= set(rounds)]
        table = [[each[number] for number in rounds] for each in complete]
        return scatter_of_ratios(table)

    def memory_each(self, target: str, confidence: float = CONFIDENCE) -> Figure | None:
        """Return how much of the host's MemAvailable one more instance takes.

        The interval comes from several rounds, or from the points of a single round.
        """
        samples = self._samples("density", target, "memory-available")
        rounds = [points for _, points in samples.groupby("round")]
        name = f"{self.label(target)} memory per instance"
        if len(rounds) > 1:
            figure = self.measured("density", target, "memory-per-instance-available")
            return figure and replace(figure, name=name)
        if not rounds:
            return None
        estimate = estimate_slope(list(samples["position"]), list(-samples["value"]), confidence)
        return _figure(name, estimate, "byte", "point")

    def memory_ratio(self, target: str, baseline: str) -> Figure | None:
        """Return target / baseline of the memory of one more instance, paired by round.

        The two slopes of a single round come from different times. The interval then uses the least
        favourable ends of two intervals that hold simultaneously in 95 % of cases (Bonferroni).
        """
        paired = self.compared("density", "memory-per-instance-available", target, baseline)
        if paired and paired.low is not None:
            return replace(paired, name=f"memory per instance, {paired.name.partition(', ')[2]}")
        alone = 1 - (1 - CONFIDENCE) / 2
        ours, theirs = self.memory_each(target, alone), self.memory_each(baseline, alone)
        if not ours or not theirs or theirs.centre <= 0:
            return None
        low = high = None
        if ours.low is not None and ours.high is not None and theirs.low and theirs.high:
            # A slope that may be zero or negative bounds no ratio.
            low = ours.low / theirs.high if theirs.low > 0 else None
            high = ours.high / theirs.low if theirs.low > 0 else None
        name = f"memory per instance, {self.label(target)} / {self.label(baseline)}"
        n = f"{ours.n} / {theirs.n}"
        return Figure(name, ours.centre / theirs.centre, low, high, "ratio", n)

    def free_memory_bytes(self, target: str) -> float | None:
        """Return MemAvailable before the first instance was started."""
        empty = self._samples("density", target, "memory-available")
        empty = empty[empty["position"] == 0]
        return float(empty["value"].median()) if len(empty) else None

    def host_limit(self, target: str) -> str:
        """Return the limit of the host that ended its filling; empty if the planned count did.

        A run that does not record what ended the filling counts as having reached no limit.
        """
        notes = list(self._samples("density", target, "running")["note"])
        density = self.run.settings.get("density", {})
        stop = str(density.get(target, {}).get("stop", "")) or (str(notes[-1]) if notes else "")
        stop = stop.removeprefix("stopped by ")
        return "" if stop.startswith("count") else stop

    def _samples(self, experiment: str, target: str, metric: str) -> pd.DataFrame:
        """Return the samples that are not censored."""
        samples = self.run.samples
        chosen: pd.DataFrame = samples[
            (samples["experiment"] == experiment)
            & (samples["target"] == target)
            & (samples["metric"] == metric)
            & samples["value"].notna()
        ]
        return chosen


def _figure(name: str, estimate: Estimate, unit: str, counted: str = "round") -> Figure | None:
    if estimate.centre is None:
        return None
    n = _count(estimate.n, counted)
    return Figure(name, estimate.centre, estimate.low, estimate.high, unit, n)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
