"""Whole replications: their balance, their exactness, and what the start of an instance costs."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from lab.scaling import latencies, results, simulation
from lab.scaling.recording import Record
from lab.scaling.scenario import Scenario
from tests.lab.scaling.scenarios import PEAK, load

STEADY = """\
duration = "1 min"
objective = "1 s"
warm-up = "5 s"
arrivals = { shape = "constant", rate = "1600 /s" }
service = { distribution = "exponential", mean = "5 ms" }
instance = { concurrency = 5 }
autoscaler = { kind = "fixed", replicas = 2 }
[[variant]]
name = "steady"
start = { distribution = "fixed", value = "1 s" }
"""


def record(scenario: Scenario, variant: int = 0, number: int = 0) -> Record:
    return simulation.replicate(scenario, scenario.variants[variant], number, 1)


def test_every_request_is_counted_once(tmp_path: Path) -> None:
    scenario = load(tmp_path)
    for variant in (0, 1):
        one = record(scenario, variant)
        assert int(one.answered.sum()) == int(one.latencies.sum())
        assert (one.late <= one.answered).all()
        # 90 s at 20 /s, 20 s at 400 /s and 10 s at 210 /s on average.
        expected = 90 * 20 + 20 * 400 + 10 * 210
        arrived = int(one.arrived.sum())
        assert abs(arrived - expected) < 5 * math.sqrt(expected)
        assert 0 < one.peak_arrived < arrived


def test_variants_see_the_same_requests(tmp_path: Path) -> None:
    scenario = load(tmp_path)
    one, other = record(scenario, 0), record(scenario, 1)
    assert one.arrived.tolist() == other.arrived.tolist()
    assert one.latencies.tolist() != other.latencies.tolist()


def test_a_replication_can_be_repeated(tmp_path: Path) -> None:
    scenario = load(tmp_path)
    one, again, other = record(scenario), record(scenario), record(scenario, number=1)
    assert one.latencies.tolist() == again.latencies.tolist()
    assert one.instance_seconds == again.instance_seconds
    assert one.latencies.tolist() != other.latencies.tolist()


def test_a_slow_start_loses_a_short_peak(tmp_path: Path) -> None:
    """A start of 40 s is longer than the peak of 30 s; one of 20 ms is not noticed in it."""
    scenario = load(tmp_path)
    quick, slow = record(scenario, 0), record(scenario, 1)
    assert quick.peak_missed / quick.peak_arrived < 0.3
    assert slow.peak_missed / slow.peak_arrived > 0.8
    assert quick.start_seconds == pytest.approx(0.02)
    assert slow.start_seconds == pytest.approx(40.0)


def test_a_steady_queue_waits_by_erlang_c(tmp_path: Path) -> None:
    """Eight of ten slots are busy on average: the mean of twelve replications is Erlang's."""
    scenario = load(tmp_path, STEADY)
    means = []
    for number in range(12):
        counts = record(scenario, number=number).latencies.sum(axis=0)
        means.append(float((latencies.middles() * counts).sum() / counts.sum()))
    blocked = 1.0
    for slot in range(1, 11):
        blocked = 8 * blocked / (slot + 8 * blocked)
    waits = blocked / (1 - 0.8 * (1 - blocked))
    estimate = results.mean(means)
    assert estimate.low is not None
    assert estimate.high is not None
    # The bins of the histogram may be off by 0.8 %.
    truth = 0.005 + waits * 0.005 / 2
    assert estimate.low * 0.992 < truth < estimate.high * 1.008
    assert estimate.high - estimate.low < 0.05 * truth


def test_instances_follow_the_load(tmp_path: Path) -> None:
    """At 1600 requests/s of 5 ms and a target of 70 % of 5, Knative wants ceil(8 / 3.5) = 3."""
    scenario = load(tmp_path, STEADY, autoscaler='{ kind = "knative" }', duration='"5 min"')
    one = record(scenario)
    assert np.median(one.ready[120:]) == 3
    assert one.instance_seconds == pytest.approx(one.replicas.sum(), rel=0.02)


def test_nobody_is_there_after_a_quiet_time(tmp_path: Path) -> None:
    """The last instance goes after the stable window; the first request wakes another."""
    (tmp_path / "load.csv").write_text("0,5\n20,0\n200,5\n")
    scenario = load(
        tmp_path, PEAK, duration='"4 min"', arrivals='{ shape = "trace", file = "load.csv" }'
    )
    one = record(scenario)
    assert one.ready[20] == 1
    assert one.ready[100:199].sum() == 0
    assert one.ready[202] == 1
    assert int(one.lost.sum()) == 0
    woken = one.latencies[200:203].sum(axis=0)
    (longest,) = latencies.percentiles(woken, (1.0,))
    assert longest is not None
    assert longest < 2


def test_nodes_are_started_for_a_peak(tmp_path: Path) -> None:
    cluster = (
        "[cluster]\nnodes = 1\ninstances-per-node = 2\nmax-nodes = 20\n"
        'node-start = { distribution = "fixed", value = "15 s" }\n'
    )
    alone, grown = record(load(tmp_path)), record(load(tmp_path, PEAK + cluster))
    assert grown.peak_missed > alone.peak_missed
    assert grown.ready.max() > 2
    assert grown.node_seconds > 120
    small = record(load(tmp_path, PEAK + cluster.replace("= 20", "= 1")))
    assert small.ready.max() == 2
    assert small.node_seconds == 120
    assert small.peak_missed > grown.peak_missed


def test_pulling_the_image_delays_the_first_instances(tmp_path: Path) -> None:
    image = '\nimage = { size = "1 GB", registry-bandwidth = "100 MB/s", cached = false }\n'
    text = PEAK.replace('price = "0.5 /h"', f'price = "0.5 /h"{image}')
    # The first instance was there, so its node has the image.
    assert record(load(tmp_path, text)).start_seconds == pytest.approx(0.02)
    zero = record(load(tmp_path, text, autoscaler='{ kind = "knative", initial-scale = 0 }'))
    assert zero.start_seconds is not None
    assert zero.start_seconds > 0.02
    assert zero.ready[:9].sum() == 0


@pytest.mark.parametrize(
    "autoscaler",
    [
        '{ kind = "hpa" }',
        '{ kind = "hpa", metric = "concurrency" }',
        '{ kind = "target-tracking" }',
        '{ kind = "predictive", tick = "5 s" }',
        '{ kind = "fixed", replicas = 6 }',
        '{ kind = "knative", initial-scale = 0 }',
    ],
)
def test_every_autoscaler_runs(tmp_path: Path, autoscaler: str) -> None:
    one = record(load(tmp_path, PEAK, autoscaler=autoscaler))
    assert one.arrived.sum() == (one.answered + one.lost + one.unanswered).sum()
    assert one.answered.sum() > 0
    if "concurrency" in autoscaler or "predictive" in autoscaler:
        assert one.replicas.max() > 4


def test_what_arrives_during_the_warm_up_is_not_counted(tmp_path: Path) -> None:
    one = record(load(tmp_path, STEADY))
    assert one.arrived[:5].sum() == 0
    assert one.arrived[5] > 1000


def test_a_last_interval_may_be_short(tmp_path: Path) -> None:
    one = record(load(tmp_path, STEADY, duration='"10.5 s"'))
    assert len(one.arrived) == 11
    assert 600 < one.arrived[10] < 1000
    assert one.instance_seconds == 21
