"""Rounds of a plan, without starting instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from lab.errors import LabError, StartFailed
from lab.experiments import profiles, startup
from lab.measurement import harness, page_cache
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


class FlakyWorker:
    """A fake worker that records its calls."""

    pid = 0
    kind = "native"

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


def test_a_cold_cache_is_prepared_before_each_turn(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_any_exception_becomes_a_censored_sample(
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
