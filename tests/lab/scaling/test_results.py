"""Results: recovery, intervals over replications, and what a finding says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lab.scaling import latencies, replications, results
from lab.scaling.queueing import Interval
from lab.scaling.recording import Record, Recorder, Timing
from lab.statistics.estimates import Estimate
from tests.lab.plausible import write as write_run
from tests.lab.scaling.scenarios import PEAK, load

NONE = np.empty(0)
TIMING = Timing(duration=10.0, warm_up=0.0, objective=1.0, peak=(2.0, 5.0))


def recorded(timing: Timing = TIMING, **arrays: list[float]) -> Record:
    """Return a record of one interval and of what waits at its end."""
    made: dict[str, Any] = {name: np.array(values, dtype=float) for name, values in arrays.items()}
    recorder = Recorder(timing)
    recorder.add(
        Interval(
            made.get("arrived", NONE), made.get("arrived", NONE), made.get("ended", NONE),
            made.get("rejected", NONE), made.get("gave_up", NONE), 0.0, 0.0,
        )
    )  # fmt: skip
    recorder.add_pool(0.0, 1.0, 2.5, 3)
    return recorder.finish(made.get("waiting", NONE), 36.0, 72.0, 4, 0.5)


def test_requests_are_recorded_by_their_arrival() -> None:
    one = recorded(
        arrived=[0.5, 2.5, 2.75, 9.5], ended=[0.75, 2.625, 3.9, 12.0], rejected=[3.5, 6.5],
        gave_up=[4.5], waiting=[1.0, 9.5],
    )  # fmt: skip
    assert one.answered.tolist() == [1, 0, 2, 0, 0, 0, 0, 0, 0, 1]
    assert one.late.tolist() == [0, 0, 1, 0, 0, 0, 0, 0, 0, 1]
    assert one.rejected.tolist() == [0, 0, 0, 1, 0, 0, 1, 0, 0, 0]
    assert one.gave_up.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
    assert one.unanswered.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 1]
    assert one.missed.tolist() == [0, 1, 1, 1, 1, 0, 1, 0, 0, 1]
    assert (one.peak_arrived, one.peak_missed) == (4, 3)
    assert one.latencies.sum(axis=1).tolist() == one.answered.tolist()
    assert latencies.percentiles(one.latencies[0], (0.5,)) == pytest.approx([0.25], rel=0.008)
    assert (one.ready[0], one.replicas[0]) == (2.5, 3)


def test_the_warm_up_is_left_out() -> None:
    timing = Timing(duration=10.0, warm_up=2.0, objective=1.0, peak=None)
    one = recorded(timing, arrived=[1.0, 2.0], ended=[3.0, 2.5], rejected=[1.5], waiting=[0.5])
    assert int(one.arrived.sum()) == 1
    assert int(one.missed.sum()) == 0
    assert one.peak_arrived == 0


@pytest.mark.parametrize(
    ("duration", "seconds", "bins"), [(10.0, 1, 10), (600.0, 1, 600), (601.0, 2, 301), (0.5, 1, 1),
                                      (86_400.0, 144, 600)]
)  # fmt: skip
def test_there_are_few_bins_of_whole_seconds(duration: float, seconds: int, bins: int) -> None:
    timing = Timing(duration, 0.0, 1.0, None)
    assert (timing.bin_seconds, timing.bins) == (seconds, bins)


@pytest.mark.parametrize(
    ("rejected", "seconds"),
    [
        ([], 0.0),
        ([2.5], 1.0),
        ([3.5, 6.5], 5.0),
        ([0.5, 1.5], 0.0),  # before the peak
        ([9.5], math.inf),
    ],
)
def test_the_recovery_is_after_the_last_second_that_missed(
    rejected: list[float], seconds: float
) -> None:
    assert results.recovery_seconds(recorded(rejected=rejected), TIMING, 0.99) == seconds


def test_few_missed_requests_are_within_the_objective() -> None:
    arrived = [2.0 + n / 1000 for n in range(99)]
    one = recorded(arrived=arrived, ended=[at + 0.1 for at in arrived], rejected=[2.5])
    assert results.recovery_seconds(one, TIMING, 0.99) == 0
    assert results.recovery_seconds(one, TIMING, 0.995) == 1


def test_without_a_peak_nothing_is_recovered() -> None:
    timing = Timing(10.0, 0.0, 1.0, None)
    assert results.recovery_seconds(recorded(timing), timing, 0.99) is None


@pytest.mark.parametrize("share", [0.55, 0.8, 0.9, 0.95, 0.99])
def test_an_objective_that_is_just_met_is_met(share: float) -> None:
    arrived = np.repeat(np.arange(10.0), 100)
    late = np.arange(len(arrived)) % 100 >= round(100 * share)
    one = recorded(arrived=arrived.tolist(), ended=(arrived + 0.5 + late).tolist())
    assert results.recovery_seconds(one, TIMING, share) == 0


def test_an_interval_ends_at_what_is_possible(tmp_path: Path) -> None:
    text = PEAK.replace('patience = "10 s"', 'patience = "200 ms"')
    result = replications.run(load(tmp_path, text), 2, 4, processes=1)
    for variant in result.variants:
        for name, figure in variant.figures.items():
            if figure.low is None or figure.high is None:
                continue
            assert figure.low >= 0, name
            assert results.FIGURES[name] != "%" or figure.high <= 1, name


def test_the_interval_is_students() -> None:
    """1, 2, 3: mean 2, deviation 1, t(0.975, 2) = 4.3027; 4.3027 / √3 = 2.4841."""
    estimate = results.mean([1.0, 2.0, 3.0])
    assert (estimate.centre, estimate.n) == (2.0, 3)
    assert estimate.low == pytest.approx(2 - 2.4841, abs=1e-4)
    assert estimate.high == pytest.approx(2 + 2.4841, abs=1e-4)
    assert results.mean([5.0]) == Estimate(5.0, None, None, 1)


def test_figures_of_a_scenario(tmp_path: Path) -> None:
    result = replications.run(load(tmp_path), 3, 1, processes=1)
    quick, slow = result.variants
    for variant in result.variants:
        assert list(variant.figures) == [
            name for name in results.FIGURES
            if name not in {"node-hours"} and name in variant.figures
        ]  # fmt: skip
        assert all(figure.n == 3 for name, figure in variant.figures.items()
                   if name != "until-recovered")  # fmt: skip
        assert variant.figures["missed"].centre == pytest.approx(
            (variant.figures["lost"].centre or 0) + (variant.figures["late"].centre or 0), abs=0.01
        )
    assert (slow.figures["missed-in-peak"].low or 0) > (quick.figures["missed-in-peak"].high or 1)
    hours, cost = quick.figures["instance-hours"].centre, quick.figures["cost"].centre
    assert hours is not None
    assert cost == pytest.approx(0.5 * hours)
    assert slow.figures["cost"].centre == 0
    assert quick.requests == slow.requests
    series = quick.series
    assert len(series.begins) == len(series.arrived) == 120
    assert series.latencies.shape == (3, 120)
    assert series.arrived[40] == pytest.approx(400, rel=0.1)
    assert series.arrived.sum() == pytest.approx(quick.requests / 3)


def test_the_finding_names_start_and_loss(tmp_path: Path) -> None:
    sentence = results.finding(replications.run(load(tmp_path), 2, 1, processes=1))
    assert sentence.startswith("container, started in 20 ms, misses ")
    assert "; machine, started in 40 s, misses 9" in sentence
    assert sentence.endswith(" % of a peak of 30 s")


def test_without_a_peak_the_finding_is_of_all_requests(tmp_path: Path) -> None:
    scenario = load(tmp_path, arrivals='{ shape = "constant", rate = "5 /s" }')
    sentence = results.finding(replications.run(scenario, 1, 1))
    assert sentence.endswith("misses 0 % of all requests")


def test_processes_do_not_change_the_result(tmp_path: Path) -> None:
    scenario = load(tmp_path)
    one, two = (replications.run(scenario, 3, 7, processes) for processes in (1, 2))
    for single, parallel in zip(one.variants, two.variants, strict=True):
        assert single.figures == parallel.figures
        one_by_one, at_once = single.series.latencies, parallel.series.latencies
        assert np.array_equal(one_by_one, at_once, equal_nan=True)


def test_a_fault_in_a_worker_is_raised(tmp_path: Path) -> None:
    scenario = load(tmp_path)
    with pytest.raises(IndexError):
        list(replications._records(scenario, [(0, 0), (9, 0), (1, 0)], 1, 2))


def test_emulated_starts_and_large_bursts_are_named(tmp_path: Path) -> None:
    write_run(tmp_path / "run", experiments=("startup", "burst"))
    start = '{ distribution = "burst", run = "run", target = "microvm" }'
    quick, slow = replications.run(load(tmp_path, PEAK, start=start), 1, 1).variants
    assert quick.emulated
    assert results.label(quick) == "container (emulated)"
    assert quick.beyond_measured == quick.most_at_once > 4
    assert not slow.emulated
    assert slow.beyond_measured is None
