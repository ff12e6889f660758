"""Judges of disk space and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.claims import table
from lab.results import run_folder
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from tests.lab.claims.judging import FAILS, HOLDS, UNTESTED, on, row
from tests.lab.plausible import HOST, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path


def test_memory_of_the_emulator_proves_nothing(tmp_path: Path) -> None:
    def measured(path: Path, machine: float, accelerator: str = "tcg") -> table.Row:
        with RunFolder(path / "run", HOST, {**SETTINGS, "accelerator": accelerator}) as made:
            made.append(
                Sample("density", target, metric, "byte", number,
                       value if "per" in metric else 1e10, 0)
                for number in range(3)
                for target, value in (("container", 1e6), ("vm", machine * (1 + number / 1000)))
                for metric in ("memory-available", "memory-per-instance-available")
            )  # fmt: skip
        return row(run_folder.load(path / "run"), "at most 10 VMs start")

    far = measured(tmp_path / "a", 2e8)
    assert far.verdict == HOLDS
    assert "even if 90 % of it belonged to the emulator" in far.reason
    assert measured(tmp_path / "b", 5e7).verdict == UNTESTED
    assert measured(tmp_path / "c", 5e7, "kvm").verdict == HOLDS
    small = measured(tmp_path / "d", 5e6)
    assert small.verdict == FAILS
    assert small.reason.startswith("even emulated")


def test_disk_is_judged_under_emulation_too(tmp_path: Path) -> None:
    run = on(tmp_path)
    assert row(run, "container: usually MB").verdict == HOLDS
    big = row(run, "virtual machine: usually GB")
    assert big.verdict == FAILS
    assert big.interval[0] == "exact"
    assert row(run, "use file storage better").verdict == HOLDS


def test_memory_of_one_more_is_compared(tmp_path: Path) -> None:
    run = on(tmp_path)
    assert row(run, "at most 10 VMs start").verdict == HOLDS
    assert row(run, "use memory better").verdict == HOLDS
    result = row(run, "alone use up the host")
    assert result.verdict == HOLDS
    assert result.n == ("9 points", "21 points")


def test_several_rounds_of_density_are_paired(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        for number, weather in enumerate((1.0, 1.2, 0.9)):
            for target, each in (("container", 5e5), ("microvm", 1e8)):
                for running in (0, 10, 20):
                    left = 2e10 - running * each * weather
                    made.append(
                        [
                            Sample(
                                "density", target, "memory-available", "byte", number, left, running
                            )
                        ]
                    )
                made.append(
                    [
                        Sample("density", target, "memory-per-instance-available", "byte",
                               number, each * weather)
                    ]
                )  # fmt: skip
    result = row(run_folder.load(tmp_path / "run"), "at most 10 VMs start")
    assert result.verdict == HOLDS
    assert result.n == ("3 rounds", "3 rounds", "3 rounds")
    assert result.measured[-1] == "memory per instance, microvm (emulated) / container 200 ×"
