"""The series of a run agree with its frames."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from lab.analysis import series, summary
from lab.results.run_folder import Run, load
from lab.statistics.estimates import estimate_nested

RUN = Path(__file__).parents[3] / "results" / "2026-11-29-vm"


@cache
def _run() -> Run:
    return load(RUN)


def test_series_hold_the_samples_of_each_group() -> None:
    groups = _run().samples.groupby(["experiment", "target", "metric"], sort=False)
    found = series.series(_run())
    assert list(found) == [key for key, _ in groups]
    for (experiment, target, metric), samples in groups:
        each = found[str(experiment), str(target), str(metric)]
        present = samples.dropna(subset=["value"])
        assert each.rounds == list(present["round"])
        assert each.values == list(present["value"])
        assert each.positions == list(present["position"])
        assert each.notes == list(present["note"])
        assert each.unit == samples["unit"].iloc[0]


def test_medians_are_those_of_the_frame_to_the_bit() -> None:
    for (_, target, _), samples in _run().samples.groupby(["experiment", "target", "metric"]):
        medians = samples.dropna(subset=["value"]).groupby("round")["value"].median()
        assert summary.by_round(samples) == dict(medians), target


def test_undisturbed_measurements_are_the_estimate_of_their_frame() -> None:
    compared = 0
    for each in summary.measurements(_run()):
        samples = _run().samples
        own = samples[
            (samples["experiment"] == each.experiment)
            & (samples["target"] == each.target)
            & (samples["metric"] == each.metric)
        ].dropna(subset=["value"])
        rounds = [list(values) for _, values in own.groupby("round")["value"]]
        assert each.with_all == estimate_nested(rounds, _run().seed)
        compared += len(rounds) > 1
    assert compared


@pytest.mark.parametrize("group", [series.medians, series.grouped])
def test_a_round_without_a_value_is_left_out(group: object) -> None:
    assert callable(group)
    assert list(group([2, 1, 2, 3], [1.0, 2.0, 3.0, float("nan")])) == [1, 2]


def test_rounds_with_an_even_number_of_values_have_the_mean_of_the_middle_two() -> None:
    assert series.medians([1, 1, 2], [1.0, 2.0, 5.0]) == {1: 1.5, 2: 5.0}


def test_every_failure_is_kept_with_its_reason() -> None:
    failed = _run().samples[_run().samples["value"].isna()]
    assert sum(map(len, series.failures(_run()).values())) == len(failed)


def test_disturbed_rounds_are_those_that_the_table_marks() -> None:
    rounds = _run().rounds
    marked = rounds[rounds["disturbed"] != ""]
    found = series.disturbed_rounds(_run())
    assert sum(map(len, found.values())) == len(marked)
    assert set(found) == set(marked["experiment"])


def test_values_of_a_position_and_of_a_round_are_those_of_the_frame() -> None:
    samples = _run().samples
    rates = samples[
        (samples["metric"] == "started-per-second") & (samples["target"] == "container")
    ].dropna(subset=["value"])
    of = series.one(_run(), "burst", "container", "started-per-second")
    most = max(of.positions)
    assert of.at_position(most).values == list(rates.loc[rates["position"] == most, "value"])
    assert of.at_position(most).rounds == list(rates.loc[rates["position"] == most, "round"])
    assert of.in_round(1) == list(rates.loc[rates["round"] == 1, "value"])
    assert series.one(_run(), "burst", "firecracker", "started-per-second").values == []
