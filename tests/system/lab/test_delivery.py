"""Delivery on real tools: figures that must hold on any host, and nothing left."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import metrics, targets
from lab.delivery import own_process, registry, tools
from lab.errors import LabError
from lab.experiments import delivery, profiles, startup
from lab.host import processes
from lab.host.scratch import scratch_directory
from lab.targets import leftovers
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build
from tests.cgroup_tree import cgroups_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.results.sample import Sample

pytestmark = pytest.mark.root

QUICK = profiles.PROFILES["quick"]
MIB = 1 << 20
TIMES = {"pull-cold", "pull-warm", "pull-changed", "push", "save", "load", "ready"}
BUILDS = {"build-cold", "build-cached", "build-changed"}
BYTES = {"wire-cold", "wire-warm", "wire-changed", "wire-push", "stored", "archive"}
STEPS = {f"step: {step}" for step in
         ("connect", "fetch", "inflate", "hash", "write", "sync", "start")}  # fmt: skip


@contextmanager
def started_worker(target: str) -> Iterator[tuple[Worker, Path]]:
    for reason in (registry.absent(), targets.find(target).absent()):
        if reason:
            pytest.skip(reason)
    land = build.build(lambda _: None)
    with scratch_directory() as scratch, Worker(target, Settings(land, scratch, "tcg")) as worker:
        yield worker, scratch


def measured(worker: Worker, number: int) -> dict[str, Sample]:
    samples = delivery.measure(worker, number, QUICK, lambda _: None)
    assert all(sample.value is not None for sample in samples)
    return {sample.metric: sample for sample in samples}


@pytest.mark.parametrize("target", ["container", "podman", "docker", "runc"])
def test_every_operation_is_measured(target: str) -> None:
    tool = delivery._TOOLS[target]
    if reason := tools.absent(tool):
        pytest.skip(reason)
    with started_worker(target) as (worker, scratch):
        worker.call(120, startup.start_and_stop)  # as in a table, whose delivery comes later
        first = measured(worker, 0)
        again = measured(worker, 1)
        assert {path.name for path in scratch.glob("tonnage-delivery-*")} == set()
    assert not [path for fixed in tools.FIXED for path in Path(fixed).glob("*delivery*")]
    assert not cgroups_named("tonnage-delivery-*")

    expected = TIMES | {"same-image", "stored", "archive"}
    expected |= BUILDS if tool != "skopeo+umoci" else set()
    expected |= STEPS if target == "container" else set()
    assert set(again) == expected
    assert set(first) == expected | BYTES
    value = {name: sample.value or 0.0 for name, sample in first.items()}
    assert value["same-image"] == again["same-image"].value == 1
    assert first["same-image"].note.startswith("sha256:")
    assert value["wire-warm"] < 64 << 10  # a manifest
    assert MIB < value["wire-changed"] < 3 * MIB  # the layer that differs
    assert value["wire-changed"] < value["wire-cold"] < 40 * MIB
    assert value["wire-push"] == pytest.approx(value["wire-cold"], rel=0.5)
    assert value["stored"] > value["wire-cold"]
    assert value["ready"] > value["pull-cold"] > 0
    assert all(value[name] > 0 for name in TIMES)
    assert {metrics.find("delivery", name).kind for name in TIMES | BUILDS} == {"figure"}
    if target == "container":
        assert all((first[step].value or 0) > 0 for step in STEPS)


def test_a_machine_is_fetched_copied_and_converted() -> None:
    with started_worker("vm") as (worker, scratch):
        values = worker.call(600, delivery.measure_disk, counts_bytes=True)
        assert {path.name for path in scratch.glob("tonnage-delivery-*")} == set()
    assert set(values) == {"wire-cold", "pull-cold", "stored", "disk-copy", "disk-convert"}
    land = build.build(lambda _: None)
    shipped = sum(path.stat().st_size for path in (land.shipped_disk, land.kernel, land.initramfs))
    assert shipped < values["wire-cold"] < 1.01 * shipped + 10_000
    assert all(value > 0 for value in values.values())


def test_what_a_killed_worker_left_is_removed() -> None:
    with started_worker("container") as (worker, scratch):
        thread = threading.Thread(target=lambda: _interrupted(worker))
        thread.start()
        folder = scratch / f"tonnage-delivery-{worker.pid}"
        deadline = time.monotonic() + 60
        while not _with_name(folder.name) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _with_name(folder.name)
        os.kill(worker.pid, signal.SIGKILL)
        thread.join()
        assert leftovers.names(scratch) == {"delivery"}
        deadline = time.monotonic() + 60
        while _with_name(folder.name) and time.monotonic() < deadline:
            leftovers.clean("delivery", scratch)
        assert not _with_name(folder.name)
        leftovers.clean("delivery", scratch)
        assert leftovers.names(scratch) == set()


def _interrupted(worker: Worker) -> None:
    with suppress(LabError):
        measured(worker, 0)


def _with_name(name: str) -> list[int]:
    """Return the processes that have a folder's name in their command lines."""
    word = name.encode()
    return [pid for pid in processes.all_pids() if word in processes.command_line(pid)]


def test_a_child_sees_empty_directories_and_reports_errors(tmp_path: Path) -> None:
    covered = Path("/run") / f"tonnage-delivery-test-{os.getpid()}"
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()

    def look(folder: Path) -> tuple[list[str], bool]:
        (kept / "written-inside").touch()
        return [path.name for path in kept.iterdir()], covered.is_mount()

    def fail(folder: Path) -> None:
        raise LabError(f"{folder.name} failed.")

    def crash(folder: Path) -> None:
        os._exit(7)

    directories = (str(kept), str(covered))
    with own_process.new_folder(tmp_path) as folder:
        found, is_mount = own_process.call(look, folder, directories, 30)
        assert found == ["written-inside"]
        assert is_mount
        assert [path.name for path in kept.iterdir()] == ["file"]
        assert not covered.exists()
        with pytest.raises(LabError, match=f"^{folder.name} failed.$"):
            own_process.call(fail, folder, directories, 30)
        with pytest.raises(LabError, match="ended with exit code 7"):
            own_process.call(crash, folder, (), 30)
        with pytest.raises(LabError, match="did not end within 0 s"):
            own_process.call(lambda _: time.sleep(60), folder, (), 0.2)
    assert not folder.exists()
