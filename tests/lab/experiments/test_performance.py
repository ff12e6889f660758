"""A failing workload loses only its own results; users may name metrics as they like."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING, cast

import pytest

from lab.analysis import summary, summary_text
from lab.errors import LabError, StartFailed
from lab.experiments import performance
from lab.results import run_folder
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from lab.targets.base import CommandResult
from lab.workloads import Result, Workload
from tests.lab.plausible import HOST, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from lab.targets.base import Target


class Here:
    """A target that runs each command as a plain process."""

    name = "here"
    attachments = ()

    def __init__(self, *, starts: int = 99) -> None:
        self.starts = starts

    def start(self) -> Here:
        self.starts -= 1
        if self.starts < 0:
            raise StartFailed("it hung.")
        return self

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def reached(self, milestone: str) -> int:
        return 0

    def pids(self) -> list[int]:
        return [os.getpid()]

    def run(self, argv: list[str], timeout_seconds: float) -> CommandResult:
        begin_ns = time.monotonic_ns()
        process = subprocess.run(argv, capture_output=True, timeout=timeout_seconds, check=False)
        elapsed_ns = time.monotonic_ns() - begin_ns
        return CommandResult(process.returncode, process.stdout, process.stderr, elapsed_ns)


def workload(command: str | list[str], **results_: Result) -> Workload:
    chosen = results_ or {"time": Result(unit="second", better="less")}
    return Workload(
        what="x", command=command, threads=1, bound_by="x", results=chosen, timeout_seconds=5
    )


def outcomes(starts: int = 99, **chosen: Workload) -> dict[str, performance.Outcome]:
    return performance.run_all(cast("Target", Here(starts=starts)), chosen)


TOO_MANY_DIGITS = "printf '{\"n\": 1%0400d}' 0"


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("exit 3", "bad failed in here: exit code 3"),
        ("echo nan", "its result is nan"),
        ("echo none", "has 'none' where a number was expected"),
        (["/does/not/exist"], "FileNotFoundError"),
        ("sleep 60", "TimeoutExpired"),
    ],
)
def test_a_failed_workload_loses_only_its_own_results(
    command: str | list[str], sentence: str
) -> None:
    bad = workload(command, odd=Result(unit="/s", better="more", pattern="(.+)"))
    if command == "sleep 60":
        bad = Workload(**{name: getattr(bad, name) for name in bad.__struct_fields__}
                       | {"timeout_seconds": 0.2})  # fmt: skip
    good = Result(unit="second", better="less")
    results = outcomes(before=workload("true", a=good), bad=bad, after=workload("true", b=good))
    assert isinstance(results["a"], float)
    assert isinstance(results["b"], float)
    assert sentence in str(results["odd"])


def test_an_unreadable_result_loses_only_itself() -> None:
    figures = {
        name: Result(unit="/s", better="more", json=name) for name in ("n", "rate", "absent")
    }
    command = 'printf \'{"rate": 5, "n": 1%0400d}\' 0'
    results = outcomes(both=workload(command, **figures))
    assert results["rate"] == 5
    assert "401 digits" in str(results["n"])
    assert "no number at absent" in str(results["absent"])
    assert isinstance(results["cpu: both"], float)


def test_if_no_new_instance_starts_the_remaining_workloads_fail() -> None:
    good = Result(unit="second", better="less")
    results = outcomes(
        starts=1,
        first=workload("true", a=good),
        bad=workload("exit 1", b=good),
        last=workload("true", c=good),
    )
    assert isinstance(results["a"], float)
    assert results["c"] == "here failed: it hung"
    with pytest.raises(LabError, match="it hung"):
        outcomes(starts=0, first=workload("true"))


def test_the_metric_of_cpu_time_differs_from_all_results() -> None:
    rate = Result(unit="/s", better="more", pattern="(.+)")
    chosen = {
        "sort": workload("echo 5", **{"cpu: sort": rate}),
        "cpu: sort": workload("echo 6", other=rate),
    }
    results = performance.run_all(cast("Target", Here()), chosen)
    assert results["cpu: sort"] == 5
    assert results["other"] == 6
    assert set(results) == {
        "cpu: sort", "cpu: cpu: sort", "other", "cpu: cpu: cpu: sort", performance.CLOCKS
    }  # fmt: skip


@pytest.mark.parametrize(
    "metric", ["cpu: mine", "begin: mine", "step: mine", "clock: mine", "answer-p50", "running"]
)
def test_a_users_metric_is_a_figure_whatever_its_name(metric: str, tmp_path: Path) -> None:
    described = {"mine": {"results": {metric: {"unit": "/s", "better": "more"}}}}
    settings = {**SETTINGS, "workloads": described}
    with RunFolder(tmp_path / "run", HOST, settings) as folder:
        for target in ("native", "container"):
            samples = [
                Sample("performance", target, metric, "/s", number, 5.0) for number in range(2)
            ]
            folder.append(samples)
    run = run_folder.load(tmp_path / "run")
    assert [each.metric for each in summary.measurements(run)] == [metric, metric]
    assert [each.metric for each in summary.ratios(run)] == [metric]
    shown = {summary_text.interval(each) for each in summary.measurements(run)}
    assert shown == {"5 – 5 /s"}
    assert not summary.metric(run, "performance", metric).explains
