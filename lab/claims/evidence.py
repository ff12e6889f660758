"""What a run has to say to a claim: figures with their intervals, or why there is none."""

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
    """One figure as it is shown, in `unit`; `low` and `high` are None where unknown.

    `n` says what was counted, as in "15 rounds". `exact` is for what was counted, not sampled.
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
        """Name, value and unit."""
        return f"{self.name} {units.quantity(self.centre, self.unit)}"

    @property
    def interval(self) -> str:
        """The interval in its unit; `exact` for a count."""
        return "exact" if self.exact else units.interval(self.low, self.high, self.unit)


class Evidence:
    """A run, asked for figures by name. What the run does not have is None."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.emulated = run.settings.get("accelerator") == "tcg"

    @cached_property
    def _measurements(self) -> dict[tuple[str, str, str], summary.Measurement]:
        return {(m.experiment, m.target, m.metric): m for m in summary.measurements(self.run)}

    def label(self, target: str) -> str:
        """The target's name as it is shown."""
        return summary.label(target, self.run)

    def measured(self, experiment: str, target: str, metric: str) -> Figure | None:
        """The median of a metric over its rounds."""
        found = self._measurements.get((experiment, target, metric))
        if found is None or found.median is None:
            return None
        exact = summary.is_exact(found)
        return Figure(
            f"{self.label(target)} {metric}",
            found.median,
            found.median if exact else found.low,
            found.median if exact else found.high,
            found.unit,
            "counted" if exact else _count(found.n, "round"),
            exact,
        )

    def compared(self, experiment: str, metric: str, target: str, baseline: str) -> Figure | None:
        """Target / baseline of a metric, paired by round; exact where both are."""
        ours = self.measured(experiment, target, metric)
        theirs = self.measured(experiment, baseline, metric)
        if not ours or not theirs:
            return None
        samples = self._samples(experiment, target, metric)
        made = paired_ratio(
            summary.by_round(samples),
            summary.by_round(self._samples(experiment, baseline, metric)),
            self.run.seed,
            summary.disturbed_rounds(samples, self.run),
        )
        name = f"{metric}, {self.label(target)} / {self.label(baseline)}"
        figure = _figure(name, made, "ratio")
        if figure and ours.exact and theirs.exact:
            return replace(figure, low=made.centre, high=made.centre, n="counted", exact=True)
        return figure

    def extremes(self, experiment: str, target: str, metric: str) -> tuple[float, float] | None:
        """The least and the most of all samples: for what may never be otherwise."""
        values = self._samples(experiment, target, metric)["value"]
        return None if values.empty else (float(values.min()), float(values.max()))

    def metrics(self, experiment: str, target: str, prefix: str) -> list[Figure]:
        """The medians of all metrics of the target whose names begin so."""
        return [
            figure
            for of, name, metric in self._measurements
            if (of, name) == (experiment, target)
            and metric.startswith(prefix)
            and (figure := self.measured(of, name, metric))
        ]

    def note(self, experiment: str, target: str, metric: str) -> str:
        """What was noted with the metric's last sample; empty if nothing was."""
        notes = [note for note in self._samples(experiment, target, metric)["note"] if note]
        return str(notes[-1]) if notes else ""

    def fastest_burst(self, target: str) -> tuple[int, Figure] | None:
        """The most that were asked for at once, and their rate, the median over rounds."""
        samples = self._samples("burst", target, "started-per-second")
        if samples.empty:
            return None
        most = int(samples["position"].max())
        rates = summary.by_round(samples[samples["position"] == most])
        name = f"{self.label(target)} started per second, {most} at once"
        figure = _figure(name, estimate_median(list(rates.values()), self.run.seed), "/s")
        return (most, figure) if figure else None

    def cpu_virtualization(self) -> str | None:
        """vmx or svm, empty if the CPU shows neither; None if the run does not say."""
        flag: str | None = self.run.settings.get("cpu_virtualization")
        return flag

    def process_ids(self) -> float:
        """How many process ids the host has."""
        for fact in self.run.host.get("facts", ()):
            if fact.get("name") == "process ids" and str(fact.get("value")).isdigit():
                return float(fact["value"])
        return 32768.0

    def failures(self, experiment: str, target: str) -> tuple[int, list[str]]:
        """How many samples of the target were censored, and their reasons, each once."""
        samples = self.run.samples
        failed = samples[
            (samples["experiment"] == experiment)
            & (samples["target"] == target)
            & samples["value"].isna()
        ]
        return len(failed), list(dict.fromkeys(map(str, failed["censored"])))

    def missing(self, experiment: str, target: str) -> str:
        """Why the run has no figure of the target, in a sentence without its end."""
        if experiment not in self.run.settings.get("experiments", ()):
            return f"{experiment} was not measured in this run"
        if why := self.run.settings.get("absent", {}).get(target):
            return f"{target} is absent here: {why}"
        count, reasons = self.failures(experiment, target)
        if count:
            return f"all {count} attempts of {target} failed: {reasons[0]}"
        return f"{target} has no finished round of {experiment} in this run"

    def nearness(self, target: str, baseline: str) -> Figure | None:
        """Target / baseline over all workloads: the geometric mean within a round, over rounds."""
        by_workload = self._workloads(target, baseline)
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

    def workloads(self, target: str, baseline: str, confidence: float = CONFIDENCE) -> list[Figure]:
        """Target / baseline of each workload, the one that lost most first.

        Where rounds are few, the interval comes from how all targets of their kind scatter.
        """
        pair = f"{self.label(target)} / {self.label(baseline)}"
        seed = self.run.seed
        found = [
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
            for metric, ratios in self._workloads(target, baseline).items()
        ]
        return sorted(filter(None, found), key=lambda figure: -figure.centre)

    def kvm_works(self) -> bool | None:
        """Whether a Linux guest ran under KVM on the host; None if that was not tried."""
        works: bool | None = self.run.host.get("kvm", {}).get("works")
        return works

    def _workloads(self, target: str, baseline: str) -> dict[str, dict[int, float]]:
        """Ratios by workload and round, of the workloads and rounds that both have.

        Those on a network or a volume of their own are left out: what they cost is the choice of
        how an instance is attached, and there are many to choose from.
        """
        described = self.run.settings.get("workloads", {}).values()
        attached = {m for each in described if each.get("attached") for m in each["results"]}
        samples = self.run.samples[self.run.samples["experiment"] == "performance"]
        found = {}
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
                found[str(metric)] = undisturbed(ratios, disturbed)
        return found

    def _scatter(
        self, metric: str, compared: Collection[str], rounds: Collection[int]
    ) -> Scatter | None:
        """How a ratio within a round scatters, from all targets that have all of these rounds.

        Machines scatter in their own way, and are left out unless one of them is compared.
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
        """What one more instance takes of the host's MemAvailable.

        With several rounds from how they differ, with one from how its points scatter.
        """
        samples = self._samples("density", target, "memory-available")
        rounds = [points for _, points in samples.groupby("round")]
        name = f"{self.label(target)} memory each"
        if len(rounds) > 1:
            found = self.measured("density", target, "memory-per-instance-available")
            return found and replace(found, name=name)
        if not rounds:
            return None
        made = estimate_slope(list(samples["position"]), list(-samples["value"]), confidence)
        return _figure(name, made, "byte", "point")

    def memory_ratio(self, target: str, baseline: str) -> Figure | None:
        """Memory of one more instance, target / baseline.

        Paired by round if there are several. Within one round the two slopes come from different
        times: the interval then takes the least favourable ends of two intervals that hold together
        in 95 % of cases (Bonferroni).
        """
        paired = self.compared("density", "memory-per-instance-available", target, baseline)
        if paired and paired.low is not None:
            return replace(paired, name=f"memory each, {paired.name.partition(', ')[2]}")
        alone = 1 - (1 - CONFIDENCE) / 2
        ours, theirs = self.memory_each(target, alone), self.memory_each(baseline, alone)
        if not ours or not theirs or theirs.centre <= 0:
            return None
        low = high = None
        if ours.low is not None and ours.high is not None and theirs.low and theirs.high:
            # A slope that may be zero or less bounds no ratio.
            low = ours.low / theirs.high if theirs.low > 0 else None
            high = ours.high / theirs.low if theirs.low > 0 else None
        name = f"memory each, {self.label(target)} / {self.label(baseline)}"
        n = f"{ours.n} / {theirs.n}"
        return Figure(name, ours.centre / theirs.centre, low, high, "ratio", n)

    def free_memory_bytes(self, target: str) -> float | None:
        """MemAvailable before the first instance was there."""
        empty = self._samples("density", target, "memory-available")
        empty = empty[empty["position"] == 0]
        return float(empty["value"].median()) if len(empty) else None

    def host_limit(self, target: str) -> str:
        """Which limit of the host ended its filling; empty if the plan's own count did.

        A run that does not say what ended it is taken to have met no limit.
        """
        notes = list(self._samples("density", target, "running")["note"])
        density = self.run.settings.get("density", {})
        stop = str(density.get(target, {}).get("stop", "")) or (str(notes[-1]) if notes else "")
        stop = stop.removeprefix("stopped by ")
        return "" if stop.startswith("count") else stop

    def _samples(self, experiment: str, target: str, metric: str) -> pd.DataFrame:
        """What was measured, without what was censored."""
        samples = self.run.samples
        chosen: pd.DataFrame = samples[
            (samples["experiment"] == experiment)
            & (samples["target"] == target)
            & (samples["metric"] == metric)
            & samples["value"].notna()
        ]
        return chosen


def _figure(name: str, made: Estimate, unit: str, counted: str = "round") -> Figure | None:
    if made.centre is None:
        return None
    return Figure(name, made.centre, made.low, made.high, unit, _count(made.n, counted))


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"
