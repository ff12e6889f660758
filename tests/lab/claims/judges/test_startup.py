"""Judges of start times."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.claims.judging import (
    FAILS,
    HOLDS,
    INCONCLUSIVE,
    UNTESTED,
    WITH_KVM,
    on,
    row,
    startups,
)
from tests.lab.plausible import HOST

if TYPE_CHECKING:
    from pathlib import Path

    from lab.claims.finding import Verdict


@pytest.mark.parametrize(
    ("seconds", "verdict", "reason"),
    [
        ([0.003, 0.0031, 0.0032] * 4, FAILS, "less than 1 s: better than claimed"),
        ([3.0, 3.1, 3.2] * 4, HOLDS, "1 to 60 s"),
        ([70.0, 71.0, 72.0] * 4, FAILS, "more than 60 s"),
        ([0.9, 0.95, 1.05, 1.1] * 3, INCONCLUSIVE, "the interval includes"),
        ([3.0], INCONCLUSIVE, "too few values for an interval (1 round)"),
    ],
)
def test_container_starts_are_judged_by_seconds(
    tmp_path: Path, seconds: list[float], verdict: Verdict, reason: str
) -> None:
    result = row(startups(tmp_path, {"container": seconds}, "ready"), "container: seconds")
    assert result.verdict == verdict
    assert reason in result.reason


def test_an_engine_that_takes_seconds_is_named(tmp_path: Path) -> None:
    run = startups(tmp_path, {"container": [0.003] * 6, "docker": [2.0] * 6}, "ready")
    result = row(run, "container: seconds")
    assert result.verdict == FAILS
    assert result.reason == "not true for container"
    assert len(result.measured) == len(result.interval) == len(result.n) == 2


@pytest.mark.parametrize(
    ("seconds", "minutes", "twenty"),
    [(90.0, HOLDS, FAILS), (18.0, FAILS, HOLDS), (5.0, FAILS, FAILS)],
)
def test_a_boot_under_kvm_is_judged(
    tmp_path: Path, seconds: float, minutes: Verdict, twenty: Verdict
) -> None:
    run = startups(tmp_path, {"vm": [seconds, seconds * 1.01, seconds * 0.99]}, "userspace")
    assert row(run, "virtual machine: minutes").verdict == minutes
    assert row(run, "boots in perhaps 20 s").verdict == twenty


@pytest.mark.parametrize(
    "words", ["virtual machine: weak", "boots in perhaps 20 s", "runs programs more slowly"]
)
def test_a_slow_emulated_machine_decides_nothing_about_kvm(tmp_path: Path, words: str) -> None:
    result = row(startups(tmp_path, {"vm": [30.0, 30.5, 29.5]}, "userspace", accelerator="tcg")
                if "boots" in words else on(tmp_path), words)  # fmt: skip
    assert result.verdict == UNTESTED
    assert "decides nothing about KVM" in result.reason
    assert all("(emulated)" in measured for measured in result.measured)


@pytest.mark.parametrize("seconds", [0.5, 12.0, 59.0])
def test_a_fast_emulated_machine_refutes_slowness(tmp_path: Path, seconds: float) -> None:
    run = startups(tmp_path, {"vm": [seconds] * 3}, "userspace", accelerator="tcg")
    result = row(run, "virtual machine: minutes")
    assert result.verdict == FAILS
    assert result.reason == "even emulated, it boots in less than 60 s"


def test_virtualization_support_needs_a_host_without_it(tmp_path: Path) -> None:
    without = row(on(tmp_path / "a"), "containers need no virtualization")
    assert without.verdict == HOLDS
    with_it = row(on(tmp_path / "b", host=WITH_KVM), "containers need no virtualization")
    assert with_it.verdict == UNTESTED
    untried = {**HOST, "kvm": {"works": None, "reason": "not tried"}}
    assert row(on(tmp_path / "c", host=untried), "containers need no").verdict == UNTESTED
    unknown = {key: value for key, value in HOST.items() if key != "kvm"}
    assert row(on(tmp_path / "d", host=unknown), "containers need no").verdict == UNTESTED
