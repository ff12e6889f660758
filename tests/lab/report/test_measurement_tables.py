"""A run's figures as tables of the page."""

from __future__ import annotations

import csv
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab.analysis import summary_text
from lab.claims.evidence import Evidence
from lab.report import measurement_tables
from lab.results import run_folder
from tests.lab import plausible
from tests.lab.with_samples import with_samples

if TYPE_CHECKING:
    from lab.results.run_folder import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_folder.load(plausible.write(tmp_path_factory.mktemp("tables") / "run"))


def test_memory_of_a_single_filling_has_the_interval_of_its_fit(run: Run) -> None:
    samples = run.samples
    first = samples[(samples["experiment"] == "density") & (samples["round"] == 0)]
    once = with_samples(run, first)
    table = measurement_tables.medians(once, "density", ("memory-per-instance-available",))
    assert table
    rows = {
        str(target.shown): (interval.shown, n.shown) for _, target, _, interval, n, _ in table.rows
    }
    slope = Evidence(once).memory_each("container")
    assert slope
    assert slope.low is not None
    assert rows["container"] == (slope.interval, slope.n.split()[0])


def test_a_value_has_the_unit_of_its_interval(run: Run) -> None:
    table = measurement_tables.every_measurement(run)
    shown = [(row[3].shown.split(), row[4].shown.split()) for row in table.rows]
    pairs = [
        (value[1], interval[-1])
        for value, interval in shown
        if len(value) == 2 and len(interval) == 4
    ]
    assert len(pairs) > 20
    assert all(value == interval for value, interval in pairs)


def test_targets_stand_in_the_order_of_the_pictures(run: Run) -> None:
    table = measurement_tables.every_measurement(run)
    targets = [row[1].shown for row in table.rows if row[0].shown == "startup"]
    assert list(dict.fromkeys(targets))[:3] == ["native", "container", "crun"]


@pytest.mark.parametrize("accelerator", ["tcg", "kvm", None])
def test_csv_says_by_what_a_machine_ran(run: Run, accelerator: str | None) -> None:
    """A spreadsheet has no other place that tells an emulated machine."""
    ran = replace(run, settings={**run.settings, "accelerator": accelerator})
    curve = measurement_tables.curve(ran, "burst", ("latency-p50",), "instances")
    assert curve
    for text in (
        curve.csv,
        summary_text.csv_lines(ran),
        measurement_tables.every_measurement(ran).csv,
        measurement_tables.every_ratio(ran).csv,
    ):
        told = {row["target"]: row["accelerator"] for row in csv.DictReader(text.splitlines())}
        assert told["vm"] == (accelerator or "")
        assert told["container"] == ""
