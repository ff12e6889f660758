"""Every metric that the lab records: its kind, unit, direction and baselines, as typed data.

    metrics.find("startup", "ready").baselines    # ("native", "container")
    metrics.find("density", "memory-pss").kind    # "curve"

A metric belongs to an experiment. Most names are listed here (`METRICS`). Some are made of a prefix
and a name that only the run knows, such as a step of a start (`FAMILIES`). The results of workloads
are named by the workloads: a run records which of them exist, and which direction is better.

Kinds:

`figure`       a sampled value: a median with an interval, compared with its baselines
`count`        a value that is counted, not sampled: exact if it is the same in every round
`curve`        points over the number of instances; a median of them would be meaningless
`explanation`  a value beside a figure that explains it: CPU time, a step of a start
`offset`       where a step of a start begins; only drawn
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Unit = str  # second, byte, integer, ratio, or a rate as a tool prints it
Kind = Literal["figure", "count", "curve", "explanation", "offset"]
Direction = Literal["less", "more"]
Milestone = Literal["first-instruction", "userspace", "ready"]

MILESTONES: tuple[Milestone, ...] = ("first-instruction", "ready", "userspace")
_EXACT_UNITS = frozenset({"byte", "integer"})  # noise of the host does not change a count


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of an experiment.

    `unit` is empty for a metric that is neither listed nor recorded. `better` is None where neither
    direction is better. `baselines` are the targets that others are compared with, in the same
    round; empty if no ratio is made.
    """

    experiment: str
    name: str
    unit: Unit
    kind: Kind = "figure"
    better: Direction | None = None
    baselines: tuple[str, ...] = ()

    @property
    def has_median(self) -> bool:
        """True if samples are summarized by a median over rounds."""
        return self.kind not in ("curve", "offset")

    @property
    def explains(self) -> bool:
        """True if the metric stands beside a figure and is not one itself."""
        return self.kind in ("explanation", "offset")

    @property
    def is_timed(self) -> bool:
        """True if a disturbed host changes the value, as it does times and rates but no counts."""
        return self.unit not in _EXACT_UNITS

    @property
    def decides(self) -> bool:
        """True if the width of its interval decides how many rounds a run takes."""
        return self.is_timed and self.has_median and not self.explains

    def cost(self, value: float) -> float | None:
        """Return what a unit of work costs: a time as it is, and the inverse of a workload's rate.

        So a ratio reads the same for all workloads: above 1 is slower. None for a rate of zero.
        """
        if self.experiment != "performance" or self.better != "more":
            return value
        return 1 / value if value else None


@dataclass(frozen=True, slots=True)
class Family:
    """Metrics that share a prefix; the rest of the name, the member, is known to the run alone."""

    prefix: str
    metric: Metric

    def of(self, member: str) -> Metric:
        """Return the metric of one member."""
        return replace(self.metric, name=f"{self.prefix}{member}")


BASELINES: dict[str, tuple[str, ...]] = {
    "startup": ("native", "container"),
    "footprint": ("container",),
    "delivery": ("container",),
    "density": ("container",),
    "performance": ("native",),
}


def _metrics(
    experiment: str,
    unit: Unit,
    better: Direction | None,
    *names: str,
    kind: Kind = "figure",
) -> tuple[Metric, ...]:
    baselines = () if kind in ("curve", "offset") else BASELINES.get(experiment, ())
    return tuple(Metric(experiment, name, unit, kind, better, baselines) for name in names)


METRICS: dict[tuple[str, str], Metric] = {
    (metric.experiment, metric.name): metric
    for metric in (
        *_metrics("startup", "second", "less", *MILESTONES, "gone"),
        *_metrics("burst", "second", "less", "latency-p50", "latency-p95", "latency-p99",
                  kind="curve"),
        *_metrics("burst", "/s", "more", "started-per-second", kind="curve"),
        *_metrics("footprint", "byte", "less", "image-compressed", "image-on-disk",
                  "image-apparent", "image-unique", kind="count"),
        *_metrics("footprint", "byte", "less", "instance-disk", "rss", "pss", "cgroup-memory",
                  "page-cache-again"),
        *_metrics("footprint", "second", "less", "move", "idle-cpu"),
        *_metrics("footprint", "/s", "less", "idle-wake-ups"),
        *_metrics("footprint", "integer", None, "own-kernel", "processes-inside", "same-user-land",
                  kind="count"),
        *_metrics("delivery", "second", "less", "pull-cold", "pull-warm", "pull-changed",
                  "build-cold", "build-cached", "build-changed", "push", "save", "load", "ready",
                  "disk-copy", "disk-convert"),
        *_metrics("delivery", "byte", "less", "wire-cold", "wire-warm", "wire-changed", "wire-push",
                  "stored", "archive", kind="count"),
        *_metrics("delivery", "integer", None, "same-image", kind="count"),
        *_metrics("density", "second", "less", "start-latency", "loaded-answer-p50",
                  "loaded-answer-p99"),
        *_metrics("density", "/s", "more", "loaded-answers"),
        *_metrics("density", "byte", None, "memory-available", "memory-pss", kind="curve"),
        *_metrics("density", "second", "less", "answer-p50", "answer-p99", kind="curve"),
        *_metrics("density", "byte", "less", "memory-per-instance-available",
                  "memory-per-instance-pss"),
        *_metrics("density", "integer", "more", "running", "answering", kind="count"),
        *_metrics("density", "second", "less", "teardown"),
        *_metrics("isolation", "ratio", "less", *(
            f"beside-{noise}{limited}" for noise in ("cpu", "memory", "forks", "disk", "network")
            for limited in ("", "-limited")
        ), "squeezed"),
        *_metrics("isolation", "integer", "less", "neighbours-seen", kind="count"),
        *_metrics("isolation", "CPUs", None, "cpus-granted"),
        *_metrics("isolation", "byte", None, "memory-granted"),
        *_metrics("isolation", "integer", None, "processes-granted"),
    )
}  # fmt: skip

STEP_BEGIN = Family("begin: ", Metric("startup", "", "second", "offset"))
STEP = Family("step: ", Metric("startup", "", "second", "explanation", "less"))
DELIVERY_STEP = Family("step: ", Metric("delivery", "", "second", "explanation", "less"))
START_CPU = Family(
    "cpu: ", Metric("startup", "", "second", "explanation", "less", BASELINES["startup"])
)
CPU = Family(
    "cpu: ", Metric("performance", "", "second", "explanation", "less", BASELINES["performance"])
)
CLOCK = Family(
    "clock: ", Metric("performance", "", "ratio", "explanation", None, BASELINES["performance"])
)
MEMORY_OF_PART = Family("memory: each of the ", Metric("density", "", "byte", "explanation"))
KERNEL_BEFORE = Family("kernel before: ", Metric("density", "", "byte", "explanation"))
KERNEL_AFTER = Family("kernel after: ", Metric("density", "", "byte", "explanation"))
FAMILIES = (
    STEP_BEGIN,
    STEP,
    DELIVERY_STEP,
    START_CPU,
    CPU,
    CLOCK,
    MEMORY_OF_PART,
    KERNEL_BEFORE,
    KERNEL_AFTER,
)


def find(
    experiment: str,
    name: str,
    unit: Unit | None = None,
    results: Mapping[str, Direction] | None = None,
) -> Metric:
    """Return the metric of that name; one that is not listed is a figure of its experiment.

    `unit` is the unit as recorded, where it is known. `results` are those of the run's workloads,
    with the direction that is better. Experiments and targets of other packages, and older runs,
    record names that are not listed: with a colon in it, such a name is an explanation.
    """
    metric = _listed(experiment, name, results or {}) or _unlisted(experiment, name)
    return metric if unit is None else replace(metric, unit=unit)


def _listed(experiment: str, name: str, results: Mapping[str, Direction]) -> Metric | None:
    if experiment == "performance" and name in results:
        return Metric(experiment, name, "", "figure", results[name], BASELINES[experiment])
    if metric := METRICS.get((experiment, name)):
        return metric
    for family in FAMILIES:
        if family.metric.experiment == experiment and name.startswith(family.prefix):
            return family.of(name.removeprefix(family.prefix))
    return None


def _unlisted(experiment: str, name: str) -> Metric:
    # A workload's result may have any name: performance has no other explanations than the listed.
    if experiment != "performance" and ": " in name:
        baselines = () if experiment == "density" else BASELINES.get(experiment, ())
        return Metric(experiment, name, "", "explanation", None, baselines)
    return Metric(experiment, name, "", "figure", None, BASELINES.get(experiment, ()))
