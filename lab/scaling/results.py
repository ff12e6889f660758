"""The results of a scenario: figures with intervals over replications, and series over time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lab import units
from lab.language.message import Message, joined
from lab.language.punctuation import SEMICOLON
from lab.scaling import latencies
from lab.statistics.estimates import CONFIDENCE, Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.scaling.arrays import FloatArray, IntArray
    from lab.scaling.recording import Record, Timing
    from lab.scaling.scenario import Scenario, Variant

SHARES = (0.5, 0.95, 0.99)
_HOUR = 3600.0
_ROUNDING = 1e-9  # keeps 1 of 10 within an objective of 90 %
_WINDOW_SECONDS = 10  # over which the objective has to be met
# Name and unit of each figure, in the order of all output.
FIGURES: dict[str, str] = {
    "missed": "%",
    "missed-in-peak": "%",
    "lost": "%",
    "late": "%",
    "latency-p50": "second",
    "latency-p95": "second",
    "latency-p99": "second",
    "until-recovered": "second",
    "start": "second",
    "instance-hours": "h",
    "node-hours": "h",
    "cost": "",
}


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """A variant over time, from all replications; a row of `latencies` for each share of SHARES.

    Requests are per second, by the time of arrival; a percentile is NaN where none was answered.
    """

    begins: FloatArray
    arrived: FloatArray
    lost: FloatArray
    missed: FloatArray
    ready: FloatArray
    replicas: FloatArray
    latencies: FloatArray


@dataclass(frozen=True, slots=True)
class VariantResult:
    """The figures of a variant, and how it went over time.

    `never_recovered` counts the replications that missed the objective until the end; the figure
    `until-recovered` is of the others. `beyond_measured` is the largest number of starts at once if
    it exceeds what the run had measured, else None.
    """

    name: str
    emulated: bool
    requests: int
    figures: dict[str, Estimate]
    never_recovered: int
    most_at_once: int
    beyond_measured: int | None
    series: Series


@dataclass(frozen=True, slots=True)
class Result:
    """The results of a scenario, a variant each, in its order."""

    scenario: Scenario
    seed: int
    replications: int
    variants: tuple[VariantResult, ...]


class Summary:
    """The replications of one variant, each added as it ends."""

    def __init__(self, scenario: Scenario, variant: Variant, timing: Timing) -> None:
        self._scenario = scenario
        self._variant = variant
        self._timing = timing
        self._values: dict[str, list[float]] = {name: [] for name in FIGURES}
        self._never_recovered = 0
        self._most_at_once = 0
        self._replications = 0
        shape = (timing.bins, latencies.COUNT)
        self._latencies: IntArray = np.zeros(shape, dtype=np.int64)
        self._sums = np.zeros((5, timing.bins))

    def add(self, record: Record) -> None:
        """Add a replication."""
        self._replications += 1
        self._most_at_once = max(self._most_at_once, record.most_at_once)
        self._latencies += record.latencies
        self._sums += (record.arrived, record.lost, record.missed, record.ready, record.replicas)
        for name, value in self._figures(record).items():
            if value is not None:
                self._values[name].append(value)

    def result(self) -> VariantResult:
        """Return the figures with their intervals, and the series."""
        largest = self._variant.starts.largest_count
        beyond = largest is not None and self._most_at_once > largest
        return VariantResult(
            self._variant.name,
            self._variant.starts.emulated,
            int(self._sums[0].sum()),
            {
                name: _possible(mean(values), FIGURES[name])
                for name, values in self._values.items()
                if values
            },
            self._never_recovered,
            self._most_at_once,
            self._most_at_once if beyond else None,
            self._series(),
        )

    def _figures(self, record: Record) -> dict[str, float | None]:
        arrived = max(int(record.arrived.sum()), 1)
        at_all = latencies.percentiles(record.latencies.sum(axis=0), SHARES)
        recovered = recovery_seconds(record, self._timing, self._scenario.table.objective_share)
        if recovered is not None and math.isinf(recovered):
            self._never_recovered += 1
            recovered = None
        hours, node_hours = record.instance_seconds / _HOUR, record.node_seconds / _HOUR
        cluster = self._scenario.table.cluster
        peak = record.peak_missed / record.peak_arrived if record.peak_arrived else None
        return {
            "missed": int(record.missed.sum()) / arrived,
            "missed-in-peak": peak,
            "lost": int(record.lost.sum()) / arrived,
            "late": int(record.late.sum()) / arrived,
            "latency-p50": at_all[0],
            "latency-p95": at_all[1],
            "latency-p99": at_all[2],
            "until-recovered": recovered,
            "start": record.start_seconds,
            "instance-hours": hours,
            "node-hours": node_hours if cluster else None,
            "cost": hours * self._variant.price + (node_hours * cluster.price if cluster else 0.0),
        }

    def _series(self) -> Series:
        bins, length = self._timing.bins, self._timing.bin_seconds
        begins: FloatArray = np.arange(bins, dtype=float) * length
        lengths = np.minimum(begins + length, self._timing.duration) - begins
        arrived, lost, missed = self._sums[:3] / (lengths * self._replications)
        ready, replicas = self._sums[3:] / self._replications
        return Series(
            begins, arrived, lost, missed, ready, replicas, percentile_series(self._latencies)
        )


def percentile_series(histograms: IntArray) -> FloatArray:
    """Return the percentiles of each bin, a row for each share; NaN where a bin is empty."""
    rows = [latencies.percentiles(histogram, SHARES) for histogram in histograms]
    return np.array([[math.nan if value is None else value for value in row] for row in rows]).T


def recovery_seconds(record: Record, timing: Timing, share: float) -> float | None:
    """Return the time from the peak's begin until the objective is met for good.

    The objective is met where, in any ten seconds around, at least that share of the requests was
    answered in time: a single late request of few is no failure. None without a peak, 0 if it was
    met throughout, infinite if it was not met at the end.
    """
    if timing.peak is None:
        return None
    length = timing.bin_seconds
    first = int(timing.peak[0] / length)
    missed, arrived = record.missed[first:], record.arrived[first:]
    width = min(max(1, _WINDOW_SECONDS // length), len(missed))
    ones = np.ones(width, dtype=np.int64)
    lost, all_of_them = (np.convolve(counts, ones, "valid") for counts in (missed, arrived))
    too_many = lost > (1 - share) * all_of_them + _ROUNDING * all_of_them
    places = np.flatnonzero((missed > 0) & (np.convolve(too_many, ones) > 0))
    if not len(places):
        return 0.0
    if places[-1] == len(missed) - 1:
        return math.inf
    end = (first + int(places[-1]) + 1) * length
    return end - timing.peak[0]


def mean(values: Sequence[float]) -> Estimate:
    """Return the mean with Student's interval over replications, which are independent.

    (Law, "Simulation modeling and analysis", 5th edition, section 9.4)
    """
    count = len(values)
    array = np.asarray(values, dtype=float)
    centre = float(array.mean())
    if count < 2:
        return Estimate(centre, None, None, count)
    from scipy.stats import t

    quantile = float(t.ppf((1 + CONFIDENCE) / 2, count - 1))
    half = quantile * float(array.std(ddof=1)) / math.sqrt(count)
    return Estimate(centre, centre - half, centre + half, count)


def _possible(figure: Estimate, unit: str) -> Estimate:
    """Return the figure with its interval cut at what can be: from zero on, a share up to one."""
    if figure.low is None or figure.high is None:
        return figure
    high = min(figure.high, 1.0) if unit == "%" else figure.high
    return replace(figure, low=max(figure.low, 0.0), high=high)


def finding(result: Result) -> Message:
    """Return the finding in a sentence: how much of the peak each variant misses."""
    peak = result.scenario.arrivals.peak
    name = "missed-in-peak" if peak else "missed"
    parts = []
    for variant in result.variants:
        missed, start = variant.figures.get(name), variant.figures.get("start")
        if missed and missed.centre is not None:
            how = ""
            if start:
                time = units.quantity(start.centre, "second")
                how = Message(", started in {time},", time=time)
            parts.append(
                Message(
                    "{variant}{how} misses {share}",
                    variant=label(variant),
                    how=how,
                    share=units.share(missed.centre),
                )
            )
    if not parts:
        return Message("no request arrived")
    where = Message("all requests")
    if peak:
        where = Message("a peak of {time}", time=units.quantity(peak[1] - peak[0], "second"))
    return Message("{misses} of {where}", misses=joined(SEMICOLON, parts), where=where)


def label(variant: VariantResult) -> str:
    """Return the variant's name; one whose starts were emulated is labelled so."""
    if variant.emulated:
        return Message("{target} (emulated)", target=variant.name)
    return variant.name
