"""LXC as a target: its root file systems, a killed monitor, and the experiments on it."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import targets
from lab.experiments import density, footprint, isolation, profiles, startup
from lab.host import processes
from lab.host.scratch import scratch_directory
from lab.targets.base import Settings, Target
from lab.targets.containers.command import CommandInstance
from lab.targets.worker import Worker
from lab.userland import build
from tests.cgroup_tree import cgroups_named

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

QUICK = profiles.PROFILES["quick"]
MIB = 1 << 20


@contextmanager
def started_worker(target: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    if reason := targets.find(target).absent():
        pytest.skip(reason)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    land = build.build(lambda _: None)
    with scratch_directory() as scratch, Worker(target, Settings(land, scratch, "tcg")) as worker:
        yield worker


def root_mount(target: Target) -> tuple[str, set[str]]:
    """Return the options of the instance's root file system, and the names in its directory."""
    with target.start() as instance:
        assert isinstance(instance, CommandInstance)
        instance.reached("ready")
        mounts = instance.run(["cat", "/proc/self/mounts"], 30).stdout.decode().splitlines()
        (options,) = [line.split()[3] for line in mounts if line.split()[1] == "/"]
        return options, {path.name for path in instance.directory.iterdir()}


def kill_the_monitor(target: Target) -> bool:
    """Kill lxc-start, stop the instance, and return True if its payload has ended."""
    with target.start() as instance:
        assert isinstance(instance, CommandInstance)
        instance.reached("ready")
        payload = instance.payload_pid()
        os.kill(instance.process.pid, signal.SIGKILL)
        instance.stop()
        return not processes.command_line(payload)


def test_lxc_mounts_the_overlay_or_gets_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    with started_worker("lxc", monkeypatch) as worker:
        options, names = worker.call(60, root_mount)
    tree = build.build(lambda _: None).tree
    assert f"lowerdir={tree}" in options
    assert {"config", "upper", "work"} <= names
    assert "rootfs" not in names
    with started_worker("lxc-dir", monkeypatch) as worker:
        options, names = worker.call(60, root_mount)
    assert f"lowerdir={tree}" in options
    assert {"config", "upper", "work", "rootfs"} <= names


def test_a_killed_monitor_takes_its_container_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with started_worker("lxc", monkeypatch) as worker:
        assert worker.call(60, kill_the_monitor)
    assert not cgroups_named(f"tonnage-lxc-{worker.pid}*")


def test_every_experiment_measures_it(monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(QUICK, density=replace(QUICK.density, containers=24))
    with started_worker("lxc", monkeypatch) as worker:
        start = worker.call(60, startup.start_and_stop)
        values, _ = worker.call(60, footprint.measure_instance, inside=False)
        granted = worker.call(120, isolation.take_all)
        filled = {each.metric: each for each in density.measure(worker, 0, few, lambda _: None)}
    assert 0 < start.reached["first-instruction"] < start.reached["ready"] < 30e9
    assert start.reached["gone"] > 0
    assert 0 < values["pss"] <= values["rss"] < 64 * MIB
    assert 0 < values["instance-disk"] < MIB
    assert 0.1 < granted["cpus-granted"] < 0.55
    assert 0.8 * 256 * MIB < granted["memory-granted"] < 256 * MIB
    assert 55 < granted["processes-granted"] < 64
    assert granted["neighbours-seen"] == 0
    assert filled["running"].value == filled["answering"].value == 24
