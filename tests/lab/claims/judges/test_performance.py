"""Judges of the speed of work."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from lab.results import run_folder
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from tests.lab.claims.judging import FAILS, HOLDS, INCONCLUSIVE, UNTESTED, WITH_KVM, on, row
from tests.lab.plausible import HOST, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path


def test_an_emulated_machine_near_native_is_not_weak(tmp_path: Path) -> None:
    run = on(tmp_path, slowness={"vm": 1.02}, noise=0.1)
    result = row(run, "virtual machine: weak")
    assert result.verdict == FAILS
    assert result.reason.startswith("even emulated, within 1.10 × native")
    assert row(run, "runs programs more slowly").verdict == UNTESTED


def test_a_machine_under_kvm_that_is_slow_is_weak(tmp_path: Path) -> None:
    weak = on(tmp_path / "a", accelerator="kvm", host=WITH_KVM, slowness={"vm": 1.4})
    near = on(tmp_path / "b", accelerator="kvm", host=WITH_KVM, slowness={"vm": 1.03}, noise=0.2)
    assert row(weak, "virtual machine: weak").verdict == HOLDS
    assert row(near, "virtual machine: weak").verdict == FAILS
    assert row(near, "runs programs more slowly").verdict == HOLDS


def test_near_native_is_near(tmp_path: Path) -> None:
    near = row(on(tmp_path / "a", noise=0.3), "close to native")
    assert (near.verdict, near.reason) == (HOLDS, "every workload is within 1.10 × native")
    far = row(on(tmp_path / "b", slowness={"container": 1.5}), "close to native")
    assert far.verdict == FAILS


def test_what_no_interval_excludes_is_inconclusive(tmp_path: Path) -> None:
    """Few and noisy rounds are no evidence of equality. (Absence of a difference is not one.)"""
    for name, factor in (("a", 1.0), ("b", 1.09)):
        run = on(tmp_path / name, slowness={"container": factor}, noise=6)
        result = row(run, "close to native")
        assert result.verdict == INCONCLUSIVE
        assert "of 8 workloads are within 1.10 × native; the intervals of " in result.reason
        assert "more rounds may decide" in result.reason
        assert len(result.measured) > 1


def test_the_workloads_that_decide_are_named(tmp_path: Path) -> None:
    chance = random.Random(4)
    slow = {"nginx": 1.27, "redis": 1.08}
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        for number in range(3):
            for metric in ("hash", "sort", "nginx", "redis"):
                for target in ("native", "container", "crun", "runc", "podman"):
                    factor = slow.get(metric, 1.0) if target == "container" else 1.0
                    noise = chance.lognormvariate(0, 0.015)
                    value = factor * noise * (1 + number / 5)
                    made.append([Sample("performance", target, metric, "second", number, value)])
    result = row(run_folder.load(tmp_path / "run"), "close to native")
    assert result.verdict == FAILS
    assert result.reason == "nginx: the whole interval is above 1.10 × native"


def test_one_slow_workload_is_not_hidden_by_the_mean(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        for number in range(6):
            for metric in ("cpu-compress", "cpu-hash", "memory-copy", "disk-write"):
                slow = 1.3 if metric == "disk-write" else 1.0
                for target, factor in (("native", 1.0), ("container", slow)):
                    value = factor * (1 + number / 100)
                    made.append([Sample("performance", target, metric, "second", number, value)])
    result = row(run_folder.load(tmp_path / "run"), "close to native")
    assert result.verdict == FAILS
    assert result.reason.startswith("disk-write: the whole interval is above 1.10 ×")


def test_a_rate_counts_by_the_cost_of_a_unit_of_work(tmp_path: Path) -> None:
    described = {"w": {"results": {"redis": {"unit": "/s", "better": "more"}}}}
    with RunFolder(tmp_path / "run", WITH_KVM, {**SETTINGS, "workloads": described}) as made:
        made.append(
            Sample("performance", target, "redis", "/s", number, rate)
            for number in range(3)
            for target, rate in (("native", 100.0 + number), ("container", 50.0 + number / 2))
        )
    result = row(run_folder.load(tmp_path / "run"), "close to native")
    assert result.verdict == FAILS
    assert result.measured[0] == "container / native, the only workload 2 ×"


def test_attached_workloads_do_not_count_for_near_native(tmp_path: Path) -> None:
    unit = {"unit": "second", "better": "less"}
    described = {
        "xz": {"attached": "", "results": {"xz": unit}},
        "trip": {"attached": "user", "results": {"trip": unit}},
    }
    with RunFolder(tmp_path / "run", WITH_KVM, {**SETTINGS, "workloads": described}) as made:
        made.append(
            Sample("performance", target, metric, "second", number, (1 + number / 100) * cost)
            for number in range(3)
            for target, trip in (("native", 1.0), ("container", 9.0))
            for metric, cost in (("xz", 1.0), ("trip", trip))
        )
    result = row(run_folder.load(tmp_path / "run"), "close to native")
    assert result.verdict == HOLDS
    assert result.measured[0] == "container / native, the only workload 1 ×"
