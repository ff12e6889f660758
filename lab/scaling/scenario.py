"""A scenario: a TOML file with a load, a service, an autoscaler, and the variants to compare.

    duration = "10 min"
    objective = "1 s"
    arrivals = { shape = "festival", base = "50 /s", times = 20, at = "2 min", length = "30 s" }
    service = { distribution = "exponential", mean = "50 ms" }
    autoscaler = { kind = "knative" }

    [[variant]]
    name = "container"
    start = { distribution = "burst", run = "results/2026-11-29-vm", target = "container" }

    [[variant]]
    name = "machine"
    start = { distribution = "fixed", value = "40 s" }

docs/scaling.md describes every key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec

from lab.errors import InvalidConfig
from lab.scaling import arrivals, distributions, service_times, start_times
from lab.scaling.arrivals import ArrivalRate, Shape
from lab.scaling.autoscalers.cluster import Cluster
from lab.scaling.autoscalers.fixed import FixedReplicas
from lab.scaling.autoscalers.hpa import Hpa
from lab.scaling.autoscalers.knative import Knative
from lab.scaling.autoscalers.predictive import Predictive
from lab.scaling.autoscalers.target_tracking import TargetTracking
from lab.scaling.distributions import Described, Distribution
from lab.scaling.image_pull import Image
from lab.scaling.quantities import Factor, Period, Price, Seconds, Share
from lab.scaling.start_times import Burst, StartTimes
from lab.scaling.table import Table, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Settings: TypeAlias = Knative | Hpa | TargetTracking | Predictive | FixedReplicas

_LONGEST_SECONDS = 366 * 86_400.0
_MOST_REPLICATIONS = 10_000
# A replication of more would take hours, and a second of more gigabytes of memory.
_MOST_REQUESTS, _MOST_PER_SECOND = 1e10, 1e7
_LAST_SEED = (1 << 63) - 1


class InstanceLimits(Table, frozen=True, kw_only=True):
    """Limits of an instance and of its queue.

    `concurrency` is the number of requests that one instance serves at a time, `queue` the number
    that wait before all of them, `patience` how long one waits there.
    """

    concurrency: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 100
    queue: Annotated[int, msgspec.Meta(ge=0)] | None = None
    patience: Period | None = None


class VariantTable(Table, frozen=True, kw_only=True):
    """One kind of instance: its start, the factor of its service times, its price and image."""

    name: str
    start: Described | Burst
    service_factor: Factor = Factor(1.0)
    price: Price = Price(0.0)
    image: Image | None = None


class ScenarioTable(Table, frozen=True, kw_only=True):
    """The whole file."""

    duration: Period
    objective: Period
    objective_share: Share = Share(0.99)
    warm_up: Seconds = Seconds(0.0)
    seed: Annotated[int, msgspec.Meta(ge=0, le=_LAST_SEED)] = 1
    replications: Annotated[int, msgspec.Meta(ge=1, le=_MOST_REPLICATIONS)] = 10
    arrivals: Shape
    service: Described
    instance: InstanceLimits = InstanceLimits()
    autoscaler: Settings
    cluster: Cluster | None = None
    variant: Annotated[list[VariantTable], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of instance, ready to be simulated."""

    name: str
    starts: StartTimes
    service_factor: float
    price: float
    image: Image | None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checked scenario, with everything that it refers to loaded."""

    name: str
    table: ScenarioTable
    arrivals: ArrivalRate
    service: Distribution
    node_start: Distribution | None
    variants: tuple[Variant, ...]

    @property
    def duration(self) -> float:
        """The length of the simulated time, in seconds."""
        return float(self.table.duration)

    @property
    def emulated(self) -> tuple[str, ...]:
        """The variants whose start times an emulated machine gave."""
        return tuple(variant.name for variant in self.variants if variant.starts.emulated)


def load(path: Path) -> Scenario:
    """Read a scenario. Raise InvalidConfig with the key, NotFound or InvalidRun for a run."""
    table = read(path, ScenarioTable)
    if fault := next(_faults(table), ""):
        raise InvalidConfig(f"{path}: {fault}.")
    try:
        return _resolved(path, table)
    except InvalidConfig as error:
        raise InvalidConfig(f"{path}: {error}") from error


def _resolved(path: Path, table: ScenarioTable) -> Scenario:
    folder = path.parent
    rate = arrivals.resolve(table.arrivals, folder, table.duration)
    _check_size(rate, table.duration)
    return Scenario(
        path.stem,
        table,
        rate,
        service_times.resolve(table.service, folder),
        distributions.resolve("cluster.node-start", table.cluster.node_start, folder)
        if table.cluster
        else None,
        tuple(
            Variant(
                variant.name,
                start_times.resolve(f"variant[{place}].start", variant.start, folder),
                float(variant.service_factor),
                float(variant.price),
                variant.image,
            )
            for place, variant in enumerate(table.variant)
        ),
    )


def _check_size(rate: ArrivalRate, duration: float) -> None:
    """Raise InvalidConfig for more requests than a simulation can have."""
    if (most := float(rate.rates.max())) > _MOST_PER_SECOND:
        raise InvalidConfig(
            f"arrivals: {most:.2g} requests per second are more than {_MOST_PER_SECOND:.2g}."
        )
    if (expected := rate.expected(duration)) > _MOST_REQUESTS:
        raise InvalidConfig(
            f"arrivals: {expected:.2g} requests are more than {_MOST_REQUESTS:.2g}."
        )


def _faults(table: ScenarioTable) -> Iterator[str]:
    """Yield the faults that the types can't express."""
    if table.duration > _LONGEST_SECONDS:
        yield f"duration: {table.duration:g} s is longer than a year"
    if table.warm_up >= table.duration:
        yield "warm-up: it must be shorter than the duration"
    names = [variant.name for variant in table.variant]
    for place, name in enumerate(names):
        if not name.strip() or not name.isprintable():
            yield f"variant[{place}].name: {name!r} is not a printable name"
        if name in names[:place]:
            yield f"variant[{place}].name: {name!r} is given twice"
    yield from _autoscaler_faults(table.autoscaler)
    if cluster := table.cluster:
        if cluster.max_nodes < cluster.nodes:
            yield f"cluster.max-nodes: {cluster.max_nodes} is less than nodes ({cluster.nodes})"
        yield from _not_whole("cluster.scan-interval", cluster.scan_interval)


def _autoscaler_faults(settings: Settings) -> Iterator[str]:
    match settings:
        case Knative():
            yield from _not_whole("autoscaler.tick", settings.tick)
            yield from _not_whole("autoscaler.stable-window", settings.stable_window)
            if settings.max_scale and settings.max_scale < settings.min_scale:
                yield "autoscaler.max-scale: it is less than min-scale"
        case Hpa():
            yield from _not_whole("autoscaler.sync-period", settings.sync_period)
            yield from _bounds(settings)
        case TargetTracking():
            yield from _not_whole("autoscaler.period", settings.period)
            yield from _bounds(settings)
        case Predictive():
            yield from _not_whole("autoscaler.tick", settings.tick)
            yield from _bounds(settings)


def _bounds(settings: Hpa | TargetTracking | Predictive) -> Iterator[str]:
    if settings.max_replicas < settings.min_replicas:
        yield "autoscaler.max-replicas: it is less than min-replicas"


def _not_whole(key: str, seconds: float) -> Iterator[str]:
    if seconds != math.floor(seconds):
        yield f"{key}: {seconds:g} s is not a whole number of seconds"
