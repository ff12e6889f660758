"""Recovery by measured starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.planning.displacement import Room
from lab.planning.recovery import measured_starts, recovery_seconds, seconds_to_start
from lab.results.run_folder import Run
from lab.results.sample import COLUMNS, Sample

STARTS = {1: 1.0, 2: 1.5, 4: 2.5}


def run(*samples: Sample) -> Run:
    columns = {name: [getattr(each, name) for each in samples] for name in COLUMNS}
    return Run(Path("results/run"), {}, {}, columns, {})


def burst(number: int, count: int, rate: float | None, target: str = "vm") -> Sample:
    return Sample("burst", target, "started-per-second", "/s", number, rate, count)


@pytest.mark.parametrize(
    ("number", "seconds"), [(1, 1.0), (2, 1.5), (3, 2.0), (4, 2.5), (5, 3.5), (8, 5.0), (11, 7.0)]
)
def test_starts_are_interpolated_and_go_in_waves(number: int, seconds: float) -> None:
    assert seconds_to_start(number, STARTS) == seconds


def test_fewer_than_were_measured_take_as_long() -> None:
    assert seconds_to_start(1, {4: 2.0, 8: 3.0}) == 2.0


def test_the_medians_of_burst_are_used() -> None:
    measured = run(
        burst(0, 1, 2.0),
        burst(1, 1, 1.0),
        burst(2, 1, 0.5),
        burst(0, 4, 2.0),
        burst(1, 8, None),
        burst(0, 1, 100.0, "container"),
        Sample("startup", "vm", "first-instruction", "second", 0, 9.0),
    )
    assert measured_starts(measured, "vm") == {1: 1.0, 4: 2.0}


def test_without_burst_single_starts_are_used() -> None:
    measured = run(
        *(
            Sample("startup", "vm", "first-instruction", "second", number, seconds)
            for number, seconds in enumerate((3.0, 1.0, 2.0, None))
        )
    )
    assert measured_starts(measured, "vm") == {1: 2.0}
    assert measured_starts(measured, "container") == {}


def test_the_slowest_host_decides_and_its_services_follow_each_other() -> None:
    rooms = [
        Room("node", (), {}, 5, {"web@a": 1, "web@b": 1, "db": 4}),
        Room("node", (), {}, 1, {"web@a": 4}),
        Room("node", (), {"db": 100}, 1, {}),
    ]
    service_of = {"web@a": "web", "web@b": "web", "db": "db"}
    starts = {"web": STARTS, "db": {1: 0.5}}
    assert recovery_seconds(rooms, service_of, starts) == 1.5 + 2.0
    assert recovery_seconds(rooms, service_of, {"web": STARTS, "db": {}}) is None
    assert recovery_seconds(rooms[1:], service_of, {"web": STARTS}) == 2.5
