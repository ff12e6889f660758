"""A race: its order, the prediction, the reasons, and its document."""

from __future__ import annotations

import pytest

from lab.classroom.race import Lap, Race, outcome


@pytest.fixture
def race() -> Race:
    return Race(
        ("container", "docker", "vm"),
        [
            Lap("container", "namespaces", 0.001),
            Lap("container", "ready", 0.004),
            Lap("vm", "ready", 8.0),
            Lap("docker", "ready", 0.0, failed="its daemon ended"),
        ],
        {"container": {"namespaces": 0.001, "sources": 0.0005}},
    )


def test_the_order_is_that_of_the_times(race: Race) -> None:
    assert [lap.target for lap in race.finished()] == ["container", "vm"]
    assert race.times_longer() == 2000


def test_the_outcome_says_who_when_and_why(race: Race) -> None:
    assert outcome(race, predicted=100) == [
        "vm took 2,000 times as long as container: 8 s and 4 ms.",
        "You predicted 100 times: too few by a factor of 20.",
        "docker did not finish: its daemon ended",
        "container: most of the time went into 'namespaces', 1 ms.",
    ]


@pytest.mark.parametrize(
    ("predicted", "judged"),
    [(1500, "within a factor of two"), (8000, "too many by a factor of 4"),
     (4000, "within a factor of two"), (1000, "within a factor of two")],
)  # fmt: skip
def test_a_prediction_is_judged_by_its_ratio(race: Race, predicted: float, judged: str) -> None:
    assert outcome(race, predicted)[1].endswith(f": {judged}.")


def test_a_small_lead_is_told() -> None:
    race = Race(("a", "b"), [Lap("a", "ready", 1.0), Lap("b", "ready", 1.04)])
    assert outcome(race)[0] == "b took 1.04 times as long as a: 1.04 s and 1 s."


def test_one_target_has_nobody_to_be_compared_with() -> None:
    assert Race(("vm",), [Lap("vm", "ready", 8.0)]).times_longer() is None
    assert outcome(Race(("vm",), [Lap("vm", "ready", 8.0)]), predicted=3) == []


def test_the_document_has_laps_order_and_failures(race: Race) -> None:
    document = race.document(10)
    assert document["order"] == ["container", "vm"]
    assert document["failed"] == {"docker": "its daemon ended"}
    assert {"target": "vm", "name": "ready", "seconds": 8.0} in document["laps"]
    assert len(document["laps"]) == 3
    assert (document["times_longer"], document["predicted_times_longer"]) == (2000, 10)
