"""Verdicts on claims, with their reasons, from simulated runs."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lab.claims import table
from lab.claims.finding import Verdict
from lab.results import run_folder
from lab.results.run_folder import Run, RunFolder
from lab.results.sample import Sample
from tests.lab.plausible import HOST, SETTINGS, write

WITH_KVM = {**HOST, "kvm": {"works": True, "reason": ""}}
HOLDS, FAILS = Verdict.HOLDS, Verdict.FAILS
INCONCLUSIVE, UNTESTED = Verdict.INCONCLUSIVE, Verdict.UNTESTED


def on(path: Path, **changes: Any) -> Run:
    return run_folder.load(write(path / "run", **changes))


def row(run: Run, words: str) -> table.Row:
    (result,) = [row for row in table.examine(run) if words in row.claim]
    return result


def startups(path: Path, seconds: dict[str, list[float]], metric: str, **settings: Any) -> Run:
    with RunFolder(path / "run", WITH_KVM, {**SETTINGS, "accelerator": "kvm", **settings}) as made:
        made.append(
            Sample("startup", target, metric, "second", number, value)
            for target, values in seconds.items()
            for number, value in enumerate(values)
        )
    return run_folder.load(path / "run")


def test_every_claim_of_the_text_is_judged(tmp_path: Path) -> None:
    rows = table.examine(on(tmp_path))
    assert {row.source for row in rows[:8]} == {"startup", "disk", "performance", "instances"}
    numbers = {number for row in rows[8:] for number in row.source.split(", ")}
    assert numbers == {str(number) for number in range(1, 13)}
    assert all(row.reason for row in rows)
    assert all(row.n for row in rows if row.measured)


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


def test_an_emulated_machine_near_native_is_not_weak(tmp_path: Path) -> None:
    run = on(tmp_path, slowness={"vm": 1.02}, noise=0.1)
    result = row(run, "virtual machine: weak")
    assert result.verdict == FAILS
    assert result.reason.startswith("even emulated, within 1.10 × native")
    assert row(run, "runs programs more slowly").verdict == UNTESTED


@pytest.mark.parametrize(("running", "verdict"), [(120, FAILS), (40, UNTESTED), (4, UNTESTED)])
def test_a_hundred_emulated_machines_refute_that_tens_fit(
    tmp_path: Path, running: int, verdict: Verdict
) -> None:
    result = row(
        on(tmp_path, running={"microvm": running}, stop="memory floor"), "tens on one host"
    )
    assert result.verdict == verdict
    assert ("even emulated, 100 or more ran" in result.reason) == (verdict == FAILS)


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


def test_disk_is_judged_under_emulation_too(tmp_path: Path) -> None:
    run = on(tmp_path)
    assert row(run, "container: usually MB").verdict == HOLDS
    big = row(run, "virtual machine: usually GB")
    assert big.verdict == FAILS
    assert big.interval[0] == "exact"
    assert row(run, "use file storage better").verdict == HOLDS


def test_the_planned_count_is_no_limit_of_the_host(tmp_path: Path) -> None:
    run = on(tmp_path)
    for words in ("thousands on one host", "tens on one host"):
        result = row(run, words)
        assert result.verdict == INCONCLUSIVE
        assert "the host reached no limit" in result.reason
        assert "a projection" in result.reason


@pytest.mark.parametrize(
    ("running", "stop", "thousands", "tens"),
    [
        ({"container": 2000, "microvm": 40}, "memory floor", HOLDS, HOLDS),
        ({"container": 600, "microvm": 4}, "memory floor", FAILS, FAILS),
        ({"container": 1000, "microvm": 120}, "count", HOLDS, FAILS),
    ],
)
def test_a_limit_that_was_met_decides(
    tmp_path: Path, running: dict[str, int], stop: str, thousands: Verdict, tens: Verdict
) -> None:
    run = on(tmp_path, accelerator="kvm", host=WITH_KVM, running=running, stop=stop)
    assert row(run, "thousands on one host").verdict == thousands
    assert row(run, "tens on one host").verdict == tens


def test_instances_that_do_not_answer_do_not_count(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        note = "stopped by count of 1200"
        made.append([Sample("density", "container", "running", "integer", 0, 1200, note=note)])
        made.append([Sample("density", "container", "answering", "integer", 0, 900)])
    result = row(run_folder.load(tmp_path / "run"), "thousands on one host")
    assert result.verdict == INCONCLUSIVE
    assert result.measured == ("container running 1,200", "container answering 900")


def test_memory_of_one_more_is_compared(tmp_path: Path) -> None:
    run = on(tmp_path)
    assert row(run, "at most 10 VMs start").verdict == HOLDS
    assert row(run, "use memory better").verdict == HOLDS
    result = row(run, "alone use up the host")
    assert result.verdict == HOLDS
    assert result.n == ("9 points", "21 points")


def test_virtualization_support_needs_a_host_without_it(tmp_path: Path) -> None:
    without = row(on(tmp_path / "a"), "containers need no virtualization")
    assert without.verdict == HOLDS
    with_it = row(on(tmp_path / "b", host=WITH_KVM), "containers need no virtualization")
    assert with_it.verdict == UNTESTED
    untried = {**HOST, "kvm": {"works": None, "reason": "not tried"}}
    assert row(on(tmp_path / "c", host=untried), "containers need no").verdict == UNTESTED
    unknown = {key: value for key, value in HOST.items() if key != "kvm"}
    assert row(on(tmp_path / "d", host=unknown), "containers need no").verdict == UNTESTED


def test_a_missing_experiment_is_named(tmp_path: Path) -> None:
    run = on(tmp_path, experiments=("startup",))
    result = row(run, "container: usually MB")
    assert result.verdict == UNTESTED
    assert result.reason == "footprint was not measured in this run"


def test_a_target_that_always_failed_has_a_reason(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        made.append(
            Sample("startup", "vm", "first-instruction", "second", n, None, censored="it hung")
            for n in range(2)
        )
    result = row(run_folder.load(tmp_path / "run"), "virtual machine: minutes")
    assert result.reason == "all 2 attempts of vm failed: it hung"


def test_the_markdown_names_host_accelerator_and_why(tmp_path: Path) -> None:
    text = table.markdown(on(tmp_path))
    for words in ("host plausible", "page cache warm", "machines emulated (TCG)",
                  "KVM on this host: a Linux guest did not reach",
                  "**can't be tested here**"):  # fmt: skip
        assert words in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {7}


def test_the_table_is_printed_with_intervals(tmp_path: Path) -> None:
    text = io.StringIO()
    table.show(on(tmp_path), Console(file=text, width=200))
    assert "container ready 3.36 ms (3.12 – 3.55 ms; 15 rounds)" in text.getvalue()
    assert "does not hold" in text.getvalue()


def test_a_filling_without_a_recorded_end_reached_no_limit(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        made.append([Sample("density", "container", "running", "integer", 0, 700)])
        made.append([Sample("density", "container", "answering", "integer", 0, 700)])
    assert row(run_folder.load(tmp_path / "run"), "thousands on one host").verdict == INCONCLUSIVE


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


def inside(path: Path, figures: dict[tuple[str, str], float], **settings: Any) -> Run:
    """Write a run of three rounds with these values by (target, metric)."""
    with RunFolder(path / "run", HOST, {**SETTINGS, **settings}) as made:
        for number in range(3):
            made.append(
                Sample(
                    "isolation" if metric in ISOLATION or metric.startswith("beside") else FOOT,
                    target, metric, "ratio" if metric.startswith("beside") else "byte", number,
                    value if value <= 1 else value * (1 + number / 1000),
                    note=NOTES.get(metric, ""),
                )
                for (target, metric), value in figures.items()
            )  # fmt: skip
    return run_folder.load(path / "run")


FOOT = "footprint"
NOTES = {"own-kernel": "Linux 6.1"}
ISOLATION = {"neighbours-seen", "cpus-granted", "memory-granted", "processes-granted", "squeezed"}
GRANTED = {("container", "cpus-granted"): 0.5, ("container", "memory-granted"): 250.0 * 2**20,
           ("container", "processes-granted"): 62.0}  # fmt: skip


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


def test_many_start_at_a_time(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, {**SETTINGS, "experiments": ["burst"]}) as made:
        made.append(
            Sample("burst", "container", "started-per-second", "/s", number, rate, count)
            for number in range(3)
            for count, rate in ((1, 90.0), (16, 110.0 + number))
        )
    result = row(run_folder.load(tmp_path / "run"), "many at a time")
    assert (result.verdict, result.reason) == (HOLDS, "16 were requested at once and ran")
    assert result.measured == ("container started per second, 16 at once 111 /s",)


def test_a_fleet_is_a_projection(tmp_path: Path) -> None:
    result = row(on(tmp_path), "peak load")
    assert result.verdict == UNTESTED
    assert "(a projection): container 1, microvm (emulated) 102 (bound by CPU)" in result.reason
    assert len(result.measured) == 2


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
    assert result.measured[0] == "container / native, mean of 1 workloads 2 ×"


def test_attached_workloads_do_not_count_for_near_native(tmp_path: Path) -> None:
    result = {"unit": "second", "better": "less"}
    described = {
        "xz": {"attached": "", "results": {"xz": result}},
        "trip": {"attached": "user", "results": {"trip": result}},
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
    assert result.measured[0] == "container / native, mean of 1 workloads 1 ×"
