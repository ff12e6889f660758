"""Calibration: bounds are met or missed, the text says so, and the newest one is stored."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from lab.calibration import model, run, store, text
from lab.calibration.aa_trials import Work, in_random_order
from lab.calibration.model import Calibration, TargetChannels, Timer
from lab.errors import LabError
from lab.host import disturbance
from lab.statistics.estimates import Estimate

UNKNOWN = Estimate(None, None, None, 0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path))


def calibration(right: int = 198) -> Calibration:
    return Calibration(
        host="here",
        kernel="6.1",
        began="2026-11-24T12:00:00+00:00",
        seed=1,
        timer=Timer(1, 20, 40.0),
        added=[model.judge_overhead("a start", [(1.01e-3, 1e-3)] * 20)],
        trials=[
            model.judge_trial("native against itself", 0, None, [15] * 200, right, 0),
            model.judge_trial("a slow-down of 5%", 0.05, 0.05, [20] * 200, 200, 0),
        ],
        channels=[TargetChannels("microvm", Estimate(0.02, 0.01, 0.03, 40), UNKNOWN, UNKNOWN)],
        conditions=disturbance.Conditions(
            60.0, 0.0, 0.01, 0.5, 0.1, 0.0, 0.0, 0, None, None, "tsc", ""
        ),
    )


def test_overhead_must_meet_the_larger_of_two_bounds() -> None:
    chance = random.Random(1)

    def pairs(timed: float, added: float) -> list[tuple[float, float]]:
        return [
            (timed + added + chance.gauss(0, timed / 1000), timed + chance.gauss(0, timed / 1000))
            for _ in range(50)
        ]

    assert model.judge_overhead("short, 0.1 ms", pairs(1e-3, 1e-4)).met
    assert not model.judge_overhead("short, 0.4 ms", pairs(1e-3, 4e-4)).met
    assert model.judge_overhead("long, 1.5 %", pairs(1.0, 0.015)).met
    assert not model.judge_overhead("long, 3 %", pairs(1.0, 0.03)).met


def test_an_interval_is_right_if_it_shows_the_injected_difference() -> None:
    around_one, above, below = (Estimate(x, x - 0.02, x + 0.02, 9) for x in (1.0, 1.05, 0.95))
    assert model.is_right(around_one, 0)
    assert not model.is_right(above, 0)
    assert model.is_right(above, 0.05)
    assert not model.is_right(around_one, 0.05)
    assert not model.is_right(below, 0.05)
    assert not model.is_right(UNKNOWN, 0)


@pytest.mark.parametrize(("right", "met"), [(190, True), (189, False)])
def test_a_trial_must_be_correct_in_95_of_100(right: int, *, met: bool) -> None:
    trial = model.judge_trial("native", 0, None, [15] * 200, right, 0)
    assert trial.met is met
    assert trial.low < right / 200 < trial.high


@pytest.mark.parametrize(
    ("repetitions", "right", "met"),
    [(1, 1, None), (2, 2, None), (58, 58, None), (59, 59, True), (59, 56, False), (10, 3, False)],
)
def test_too_few_repetitions_decide_nothing(repetitions: int, right: int, met: bool | None) -> None:
    for size in (0, 0.05):
        trial = model.judge_trial("native", size, None, [15] * repetitions, right, 0)
        assert trial.met is met


def test_too_few_repetitions_are_neither_stored_nor_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    assert store.save(calibration())
    short = calibration()
    short.trials = [model.judge_trial("native against itself", 0, None, [15] * 2, 2, 0)]
    assert not store.save(short)
    document = store.newest()
    assert document is not None
    assert document["trials"][0]["repetitions"] == 200
    document = json.loads(json.dumps(short.document()))
    assert (short.missed(), short.undecided()) == ([], ["native against itself"])
    assert "2 repetitions of a trial, on 2026-11-24, are too few" in text.sentence(document)
    document["trials"][0]["met"] = True  # as it was recorded before
    assert "undecided: fewer than 59 repetitions" in text.markdown(document)


def test_missed_bounds_are_in_the_text() -> None:
    found = calibration(right=170)
    assert found.missed() == ["native against itself"]
    document = json.loads(json.dumps(found.document()))
    assert "missed bounds: native against itself" in text.sentence(document)
    assert "**no**" in text.markdown(document)


@pytest.mark.parametrize(
    ("whole", "torn"),
    [("", ""), ("}", ""), ("0.", "NaN"), ('"trials"', '"trial"'), ("200", "0"), ("200", "1e400")],
)
def test_a_damaged_file_is_not_used(whole: str, torn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    store.save(calibration())
    file = store.newest_path()
    file.write_text(file.read_text().replace(whole, torn) if whole else "")
    assert store.newest() is None


def test_the_newest_is_used_on_its_own_host_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    assert store.newest() is None
    store.save(calibration())
    document = store.newest()
    assert document is not None
    assert "99 % of repetitions" in text.sentence(document)
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    assert store.newest() is None
    assert "not calibrated" in text.sentence(None)


def test_slower_work_takes_longer_by_the_requested_share() -> None:
    work = Work(calls=1000, fixed_seconds=1e-3, call_seconds=1e-6)
    assert work.slower(0) == 1000
    assert work.slower(0.5) == 1000 + 1000  # half of 2 ms is a thousand calls
    assert work.slower(0.05) == 1100


def test_both_orders_occur_and_sides_are_not_swapped() -> None:
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


def test_repetitions_of_a_simulated_target_are_judged(tmp_path: Path) -> None:
    """A side that is 5 % slower is detected, and an equal side is not."""
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
            pairs = run.PairsFile(file)
            precision = 0.05
            return run._repeat("simulated", size, precision, measure, 40, chance, pairs)

    assert trial(0.05).right >= 36
    assert trial(0.0).right >= 35
    lines = (tmp_path / "pairs-0.05.csv").read_text().splitlines()
    assert len(lines) > 400


def test_the_clock_of_this_host_can_be_read() -> None:
    timer = run.timer()
    assert 0 < timer.step_ns < 1e6
    assert 0 < timer.read_ns < 1e5
    assert timer.resolution_ns >= 1


def test_an_existing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="name another with --out"):
        run._new_folder(tmp_path)


def test_a_ratio_of_pairs_is_of_first_over_second() -> None:
    assert run._ratio([(2.0, 1.0)] * 6) == Estimate(2.0, 2.0, 2.0, 6)
