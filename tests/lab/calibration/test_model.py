"""What is held to a bound meets it or does not, and the page says so."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from lab.calibration import model, run
from lab.calibration.aa_trials import Work, in_random_order
from lab.calibration.model import Calibration, Channel, Timer
from lab.errors import LabError
from lab.host import disturbance
from lab.statistics.estimates import Estimate

UNKNOWN = Estimate(None, None, None, 0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path))


def made(right: int = 198) -> Calibration:
    return Calibration(
        host="here",
        kernel="6.1",
        began="2026-11-24T12:00:00+00:00",
        seed=1,
        timer=Timer(1, 20, 40.0),
        added=[model.judge_added("a start", [(1.01e-3, 1e-3)] * 20)],
        trials=[
            model.judge_trial("native against itself", 0, None, [15] * 200, right, 0),
            model.judge_trial("a slow-down of 5%", 0.05, 0.05, [20] * 200, 200, 0),
        ],
        channels=[Channel("microvm", Estimate(0.02, 0.01, 0.03, 40), UNKNOWN, UNKNOWN)],
        conditions=disturbance.Conditions(
            60.0, 0.0, 0.01, 0.5, 0.1, 0.0, 0.0, 0, None, None, "tsc", ""
        ),
    )


def test_what_the_harness_adds_is_held_to_the_larger_of_two_bounds() -> None:
    chance = random.Random(1)

    def pairs(timed: float, added: float) -> list[tuple[float, float]]:
        return [
            (timed + added + chance.gauss(0, timed / 1000), timed + chance.gauss(0, timed / 1000))
            for _ in range(50)
        ]

    assert model.judge_added("short, 0.1 ms", pairs(1e-3, 1e-4)).met
    assert not model.judge_added("short, 0.4 ms", pairs(1e-3, 4e-4)).met
    assert model.judge_added("long, 1.5 %", pairs(1.0, 0.015)).met
    assert not model.judge_added("long, 3 %", pairs(1.0, 0.03)).met


def test_an_interval_is_right_if_it_shows_what_was_put_in() -> None:
    around_one, above, below = (Estimate(x, x - 0.02, x + 0.02, 9) for x in (1.0, 1.05, 0.95))
    assert model.is_right(around_one, 0)
    assert not model.is_right(above, 0)
    assert model.is_right(above, 0.05)
    assert not model.is_right(around_one, 0.05)
    assert not model.is_right(below, 0.05)
    assert not model.is_right(UNKNOWN, 0)


@pytest.mark.parametrize(("right", "met"), [(190, True), (189, False)])
def test_a_trial_must_be_right_in_95_of_100(right: int, *, met: bool) -> None:
    trial = model.judge_trial("native", 0, None, [15] * 200, right, 0)
    assert trial.met is met
    assert trial.low < right / 200 < trial.high


@pytest.mark.parametrize(
    ("repetitions", "right", "met"),
    [(1, 1, None), (2, 2, None), (58, 58, None), (59, 59, True), (59, 56, False), (10, 3, False)],
)
def test_a_few_repetitions_meet_no_bound(repetitions: int, right: int, met: bool | None) -> None:
    for size in (0, 0.05):
        trial = model.judge_trial("native", size, None, [15] * repetitions, right, 0)
        assert trial.met is met


def test_a_toy_calibration_is_neither_kept_nor_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    assert model.remember(made())
    toy = made()
    toy.trials = [model.judge_trial("native against itself", 0, None, [15] * 2, 2, 0)]
    assert not model.remember(toy)
    kept = model.newest()
    assert kept is not None
    assert kept["trials"][0]["repetitions"] == 200
    document = json.loads(json.dumps(toy.document()))
    assert (toy.missed(), toy.untold()) == ([], ["native against itself"])
    assert "2 repetitions of a trial, on 2026-11-24, are too few" in model.sentence(document)
    document["trials"][0]["met"] = True  # as it was recorded before
    assert "can't be told by fewer than 59" in model.markdown(document)


def test_what_missed_is_said_everywhere() -> None:
    found = made(right=170)
    assert found.missed() == ["native against itself"]
    document = json.loads(json.dumps(found.document()))
    assert "missed: native against itself" in model.sentence(document)
    assert "**no**" in model.markdown(document)


@pytest.mark.parametrize(
    ("whole", "torn"),
    [("", ""), ("}", ""), ("0.", "NaN"), ('"trials"', '"trial"'), ("200", "0"), ("200", "1e400")],
)
def test_a_kept_calibration_that_is_torn_or_none_is_not_used(
    whole: str, torn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    model.remember(made())
    kept = model._newest()
    kept.write_text(kept.read_text().replace(whole, torn) if whole else "")
    assert model.newest() is None


def test_the_newest_is_kept_for_this_host_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    assert model.newest() is None
    model.remember(made())
    kept = model.newest()
    assert kept is not None
    assert "99 % of repetitions" in model.sentence(kept)
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    assert model.newest() is None
    assert "not calibrated" in model.sentence(None)


def test_slower_work_is_slower_by_the_part_that_was_asked_for() -> None:
    work = Work(calls=1000, fixed_seconds=1e-3, call_seconds=1e-6)
    assert work.slower(0) == 1000
    assert work.slower(0.5) == 1000 + 1000  # half of 2 ms is a thousand calls
    assert work.slower(0.05) == 1100


def test_both_orders_occur_and_sides_stay_apart() -> None:
    chance = random.Random(3)
    orders = set()
    for _ in range(30):
        seen: list[int] = []

        def measure(side: int, seen: list[int] = seen) -> float:
            seen.append(side)
            return float(side)

        assert in_random_order(chance, measure) == (0.0, 1.0)
        orders.add(tuple(seen))
    assert orders == {(0, 1), (1, 0)}


def test_repetitions_of_a_made_up_target_are_judged_as_they_are(tmp_path: Path) -> None:
    """A side that is 5 % slower is found; one that is not, is not."""
    chance = random.Random(6)

    def trial(size: float) -> model.Trial:
        def measure(rounds: int, seed: int) -> list[tuple[float, float]]:
            weather = [chance.lognormvariate(0, 0.3) for _ in range(rounds)]
            return [
                (
                    w * (1 + size) * chance.lognormvariate(0, 0.02),
                    w * chance.lognormvariate(0, 0.02),
                )
                for w in weather
            ]

        with (tmp_path / f"pairs-{size}.csv").open("x") as file:
            kept = run.Pairs(file)
            precision = 0.05
            return run._repeat("made up", size, precision, measure, 40, chance, kept)

    assert trial(0.05).right >= 36
    assert trial(0.0).right >= 35
    lines = (tmp_path / "pairs-0.05.csv").read_text().splitlines()
    assert len(lines) > 400


def test_the_clock_of_this_host_can_be_read() -> None:
    found = run.timer()
    assert 0 < found.step_ns < 1e6
    assert 0 < found.read_ns < 1e5
    assert found.resolution_ns >= 1


def test_a_folder_that_is_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="--out names another"):
        run._new_folder(tmp_path)


def test_a_ratio_of_pairs_is_of_first_over_second() -> None:
    assert run._ratio([(2.0, 1.0)] * 6) == Estimate(2.0, 2.0, 2.0, 6)
