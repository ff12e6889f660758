"""One replication: requests, instances and an autoscaler from zero to the end of a scenario.

Time goes on in intervals of a second, at whose ends autoscalers measure and decide. Everything that
happens within an interval happens at its exact time: requests arrive, begin and end, and instances
become ready. All variants of a scenario see the same requests with the same work in a replication,
so that they differ by their instances alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lab.scaling.autoscalers.base import Autoscaler, Load
from lab.scaling.autoscalers.cluster import ClusterAutoscaler
from lab.scaling.autoscalers.fixed import FixedAutoscaler
from lab.scaling.autoscalers.hpa import Hpa, HpaAutoscaler
from lab.scaling.autoscalers.knative import Knative, KnativeAutoscaler
from lab.scaling.autoscalers.predictive import Predictive, PredictiveAutoscaler
from lab.scaling.autoscalers.target_tracking import TargetTracking, TargetTrackingAutoscaler
from lab.scaling.image_pull import Pulls
from lab.scaling.nodes import Nodes
from lab.scaling.pool import Pool
from lab.scaling.queueing import Limits, Queue
from lab.scaling.recording import Record, Recorder, Timing
from lab.scaling.service_times import ServiceTimes

if TYPE_CHECKING:
    from lab.scaling.scenario import Scenario, Settings, Variant

_INTERVAL_SECONDS = 1.0


def timing(scenario: Scenario) -> Timing:
    """Return the bins of a scenario's records."""
    table = scenario.table
    peak = scenario.arrivals.peak
    return Timing(scenario.duration, float(table.warm_up), float(table.objective), peak)


def autoscaler_for(settings: Settings, concurrency: int) -> Autoscaler:
    """Return a new autoscaler for instances of a concurrency."""
    match settings:
        case Knative():
            return KnativeAutoscaler(settings, concurrency)
        case Hpa():
            return HpaAutoscaler(settings, concurrency)
        case TargetTracking():
            return TargetTrackingAutoscaler(settings, concurrency)
        case Predictive():
            return PredictiveAutoscaler(settings, concurrency)
        case _:
            return FixedAutoscaler(settings)


def replicate(scenario: Scenario, variant: Variant, number: int, seed: int) -> Record:
    """Return the record of one replication of a variant; the seed and the number fix it."""
    return _Simulation(scenario, variant, number, seed).run()


class _Simulation:
    """The state of one replication."""

    def __init__(self, scenario: Scenario, variant: Variant, number: int, seed: int) -> None:
        table = scenario.table
        self._scenario = scenario
        self._arrival_chance, self._service_chance, self._start_chance, self._node_chance = (
            np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, stream)))
            for stream in range(4)
        )
        self._services = ServiceTimes(scenario.service, variant.service_factor)
        self._concurrency = table.instance.concurrency
        self._autoscaler = autoscaler_for(table.autoscaler, self._concurrency)
        self._cluster = ClusterAutoscaler(table.cluster) if table.cluster else None
        self._recorder = Recorder(timing(scenario))
        image = variant.image
        nodes = Nodes(
            table.cluster.nodes if table.cluster else 1,
            table.cluster.instances_per_node if table.cluster else math.inf,
            have_image=image is None or image.cached,
        )
        self._pool = Pool(variant.starts, nodes, Pulls(image) if image else None,
                          self._start_chance)  # fmt: skip
        self._pool.begin_with(self._autoscaler.initial_replicas)
        if isinstance(self._autoscaler, KnativeAutoscaler):
            self._autoscaler.begin(self._pool.ready, 0.0)
        patience, waiting = table.instance.patience, table.instance.queue
        limits = Limits(
            math.inf if waiting is None else waiting,
            math.inf if patience is None else float(patience),
        )
        self._queue = Queue(self._pool.ready * self._concurrency, limits)

    def run(self) -> Record:
        """Go through all intervals."""
        end, number = 0.0, 0
        while end < self._scenario.duration:
            begin, number = end, number + 1
            end = min(number * _INTERVAL_SECONDS, self._scenario.duration)
            self._interval(begin, end)
            self._decide(end, number)
        return self._recorder.finish(
            self._queue.waiting,
            self._pool.seconds(end),
            self._pool.nodes.seconds(end),
            self._pool.largest_at_once,
            self._pool.mean_start_seconds,
        )

    def _interval(self, begin: float, end: float) -> None:
        arrivals = self._scenario.arrivals.draw(self._arrival_chance, begin, end)
        services = self._services.draw(self._service_chance, len(arrivals))
        if not self._pool.replicas and len(arrivals):
            first = float(arrivals[0])
            self._scale(first, self._autoscaler.wake(first, self._pool.pods()))
        before = self._pool.ready
        ready = self._pool.advance(end)
        interval = self._queue.advance(
            begin, end, arrivals, services, np.repeat(ready, self._concurrency)
        )
        self._recorder.add(interval)
        average = before + float((end - ready).sum()) / (end - begin)
        self._recorder.add_pool(begin, end, average, self._pool.replicas)
        load = Load(end, end - begin, len(arrivals), interval.in_system, interval.busy)
        self._autoscaler.record(load, self._pool.pods())

    def _decide(self, now: float, seconds: int) -> None:
        """Scale as the autoscalers decide whose tick it is."""
        if seconds % round(self._autoscaler.tick_seconds) == 0:
            self._scale(now, self._autoscaler.replicas(now, self._pool.pods()))
        cluster = self._scenario.table.cluster
        if cluster and self._cluster and seconds % round(cluster.scan_interval) == 0:
            self._scan(now, self._cluster)

    def _scale(self, now: float, replicas: int) -> None:
        more = replicas - self._pool.replicas
        if more > 0:
            self._pool.request(more, now)
        elif more < 0:
            self._queue.remove(self._pool.remove(-more, now) * self._concurrency)

    def _scan(self, now: float, cluster: ClusterAutoscaler) -> None:
        change = cluster.scan(now, self._pool.pending, self._pool.nodes)
        if change.add and self._scenario.node_start:
            for delay in self._scenario.node_start.draw(self._node_chance, change.add).tolist():
                self._pool.nodes.add(now, now + delay)
        for node in change.remove:
            self._queue.remove(self._pool.drain(node, now) * self._concurrency)
