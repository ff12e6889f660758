"""Plans, profiles and rounds, without starting instances."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from lab import experiments
from lab.errors import LabError, StartFailed
from lab.experiments import profiles, startup
from lab.measurement import harness, page_cache, run
from lab.measurement.request import RunRequest
from lab.progress import Progress
from lab.results.sample import Sample

if TYPE_CHECKING:
    from lab.targets.worker import Worker


def plan(**changes: object) -> harness.Plan:
    asked: dict[str, object] = {
        "profile": profiles.PROFILES["quick"],
        "experiments": ("startup",),
        "targets": ("native", "vm"),
        "seed": 5,
        "accelerator": "tcg",
        **changes,
    }
    return harness.Plan(**asked)  # type: ignore[arg-type]


def test_rounds_come_from_the_profile_unless_given() -> None:
    assert plan().rounds_of("startup") == profiles.PROFILES["quick"].rounds["startup"]
    assert plan(rounds=3).rounds_of("startup") == 3
    assert plan(rounds=3).settings()["rounds"] == {"startup": 3}


@pytest.mark.parametrize("profile", profiles.PROFILES.values(), ids=profiles.PROFILES)
def test_machines_join_the_first_round_and_then_evenly(profile: profiles.Profile) -> None:
    joined = [n for n in range(30) if startup.joins("vm", "machine", n, profile)]
    assert joined[0] == 0
    assert {b - a for a, b in itertools.pairwise(joined)} == {profile.machines_every}
    assert all(startup.joins("crun", "container", n, profile) for n in range(30))


@pytest.mark.parametrize("profile", profiles.PROFILES.values(), ids=profiles.PROFILES)
def test_every_profile_covers_every_experiment(profile: profiles.Profile) -> None:
    assert set(profile.rounds) == set(experiments.EXPERIMENTS)


def test_an_experiment_that_is_for_few_skips_the_others_unless_they_are_named() -> None:
    quick = profiles.PROFILES["quick"]
    assert quick.asks("density", "container")
    assert not quick.asks("density", "crun")
    assert all(quick.asks("startup", name) for name in ("crun", "vm"))
    assert replace(quick, only={}).asks("density", "crun")


def test_filling_the_host_comes_last_and_the_largest_fill_at_its_end() -> None:
    assert experiments.EXPERIMENTS[-1] == "density"
    given = ["crun", "vm", "container", "docker", "microvm"]
    workers = cast("list[Worker]", [FlakyWorker(name) for name in given])
    assert [worker.target for worker in experiments.in_turn("startup", workers)] == given
    turns = [worker.target for worker in experiments.in_turn("density", workers)]
    assert turns == ["vm", "microvm", "docker", "crun", "container"]


def test_the_full_profile_fills_until_a_limit_of_the_host_ends_it() -> None:
    quick, full = (profiles.PROFILES[name].density for name in ("quick", "full"))
    assert quick.containers == 2000
    assert full.containers > 32_768  # more than the default limit on process ids
    assert full.seconds_for("container") > full.seconds_for("crun")
    assert min(quick.memory_floor_bytes, full.memory_floor_bytes) >= 1 << 31


class FlakyWorker:
    """A fake worker that records its calls."""

    pid = 0

    def __init__(self, target: str = "native") -> None:
        self.target = target
        self.revived = 0
        self.called: list[object] = []

    def call(self, deadline_seconds: float, function: object, *args: object) -> None:
        self.called.append((function, *args))

    def revive(self) -> list[str]:
        self.revived += 1
        return []


def test_a_failure_is_one_censored_sample_and_the_round_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(worker: object, number: int, profile: object, tell: object) -> list[Sample]:
        if number % 2:
            raise StartFailed("native did not reach ready within 2 s.")
        return [Sample("startup", "native", "ready", "second", number, 0.5)]

    monkeypatch.setattr(startup, "measure", measure)
    worker = FlakyWorker()
    workers = cast("list[Worker]", [worker, worker])
    good = harness._round("startup", 0, workers, plan(), Progress())
    bad = harness._round("startup", 1, workers, plan(), Progress())
    assert [sample.value for sample in good] == [0.5, 0.5]
    assert [sample.value for sample in bad] == [None, None]
    assert bad[0].censored == "native did not reach ready within 2 s."
    assert worker.revived == 2
    assert "round 1: measuring native" in capsys.readouterr().err


def test_a_cold_start_is_made_cold_before_each_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "measure", lambda *_: [])
    worker = FlakyWorker()
    for state in ("cold", "warm", "as-is"):
        for number in range(2):
            workers = cast("list[Worker]", [worker])
            harness._round("startup", number, workers, plan(page_cache=state), Progress())
    assert worker.called == [(page_cache.prepare, "cold")] * 2


def test_a_worker_that_cannot_be_replaced_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Lost(FlakyWorker):
        def revive(self) -> list[str]:
            raise LabError("There is no memory for another.")

    def fail(*_: object) -> list[Sample]:
        raise StartFailed("it hung")

    monkeypatch.setattr(startup, "measure", fail)
    workers = cast("list[Worker]", [Lost(), FlakyWorker()])
    assert len(harness._round("startup", 0, workers, plan(), Progress())) == 2


@pytest.mark.parametrize("error", [KeyError("x"), ZeroDivisionError("by zero"), OSError(28, "x")])
def test_whatever_is_raised_is_a_censored_sample(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[Sample]:
        raise error

    monkeypatch.setattr(startup, "measure", fail)
    (sample,) = harness._round(
        "startup", 0, cast("list[Worker]", [FlakyWorker()]), plan(), Progress()
    )
    assert sample.value is None
    assert sample.censored.startswith(f"native: {type(error).__name__}: ")


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (RunRequest(targets=("native", "native")), "target native is given twice"),
        (RunRequest(experiments=("startup", "startup")), "experiment startup is given twice"),
        (RunRequest(workloads=(Path("a"), Path("./a"))), "workload file .*/a is given twice"),
    ],
)
def test_what_is_named_twice_is_refused(request_: RunRequest, sentence: str) -> None:
    with pytest.raises(LabError, match=sentence):
        run.measure(request_)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(LabError, match="no experiment 'colour'"):
        experiments.find("colour")
    with pytest.raises(LabError, match="no profile"):
        profiles.find("heroic")
