"""Judges of isolation, limits and images, by simulated figures from inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.results import run_folder
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from tests.lab.claims.judging import FAILS, GRANTED, HOLDS, INCONCLUSIVE, UNTESTED, inside, row
from tests.lab.plausible import HOST, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from lab.claims.finding import Verdict


@pytest.mark.parametrize(
    ("words", "figures", "verdict", "reason"),
    [
        ("own and a complete", {("container", "own-kernel"): 0, ("vm", "own-kernel"): 1}, HOLDS,
         "the machine its own"),
        ("own and a complete", {("container", "own-kernel"): 0, ("vm", "own-kernel"): 0}, FAILS,
         "the boot ids seen inside"),
        ("given resource limits", GRANTED, HOLDS, "all within the limits of 0.5 CPUs"),
        ("given resource limits", {**GRANTED, ("container", "cpus-granted"): 0.6}, FAILS,
         "cpus-granted: outside the limits"),
        ("isolated from the host", {("container", "neighbours-seen"): 0,
         ("container", "beside-cpu"): 1.5}, HOLDS, "takes up to 1.50 × as long"),
        ("isolated from the host", {("container", "neighbours-seen"): 2}, FAILS, "it sees its"),
        ("test and production", {("container", "same-user-land"): 1, ("vm", "same-user-land"): 1},
         HOLDS, "the same digest in all"),
        ("test and production", {("container", "same-user-land"): 1, ("vm", "same-user-land"): 0},
         FAILS, "differ in vm"),
        ("another platform", {("container", "move"): 2, ("vm", "move"): 3,
         ("container", "image-compressed"): 9, ("vm", "image-compressed"): 11}, HOLDS,
         "in both measures"),
        ("another platform", {("container", "move"): 2, ("vm", "move"): 1,
         ("container", "image-compressed"): 9, ("vm", "image-compressed"): 11}, FAILS,
         "no more in move"),
        ("little CPU", {("vm", "squeezed"): 2}, UNTESTED, "emulated"),
    ],
)  # fmt: skip
def test_insides_and_limits_are_judged(
    tmp_path: Path,
    words: str,
    figures: dict[tuple[str, str], float],
    verdict: Verdict,
    reason: str,
) -> None:
    result = row(inside(tmp_path, figures), words)
    assert (result.verdict, reason in result.reason) == (verdict, True), result.reason


def test_a_single_round_breaks_a_promise(tmp_path: Path) -> None:
    """Promises are judged by their worst round, not by the median."""
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        for number in range(3):
            for experiment, target, metric, values in (
                ("isolation", "container", "neighbours-seen", (0, 2, 0)),
                ("footprint", "container", "same-user-land", (1, 1, 0)),
                ("footprint", "container", "own-kernel", (0, 0, 0)),
                ("footprint", "vm", "own-kernel", (1, 0, 1)),
            ):
                value = values[number]
                made.append([Sample(experiment, target, metric, "integer", number, value)])
    run = run_folder.load(tmp_path / "run")
    for words in ("isolated from the host", "test and production", "own and a complete"):
        assert row(run, words).verdict == FAILS


def test_a_limit_by_one_round_is_inconclusive(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        made.append(Sample("isolation", *key, "byte", 0, value) for key, value in GRANTED.items())
    assert row(run_folder.load(tmp_path / "run"), "given resource limits").verdict == INCONCLUSIVE


@pytest.mark.parametrize(
    ("flag", "works", "verdict"),
    [("", False, HOLDS), ("", True, FAILS), ("svm", True, UNTESTED), ("vmx", False, UNTESTED)],
)
def test_kvm_is_judged_by_the_flags_of_the_cpu(
    tmp_path: Path, flag: str, works: bool, verdict: Verdict
) -> None:
    host = {**HOST, "kvm": {"works": works, "reason": ""}}
    with RunFolder(tmp_path / "run", host, {**SETTINGS, "cpu_virtualization": flag}):
        pass
    assert row(run_folder.load(tmp_path / "run"), "KVM needs").verdict == verdict
