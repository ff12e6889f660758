"""The tuned machine: its differences from `vm`, and the experiments that include it."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.experiments import profiles
from lab.targets import find
from lab.targets.base import Settings
from lab.targets.machines import tuned
from lab.targets.machines.machine import FullMachine
from lab.targets.machines.tuned import TunedMachine
from lab.userland.build import Userland

if TYPE_CHECKING:
    import vms

SOMEWHERE = Path("/nowhere")
SETTINGS = Settings(Userland(*[SOMEWHERE for _ in fields(Userland)]), SOMEWHERE, "kvm")


def described(target: type[FullMachine]) -> vms.Machine:
    return target(SETTINGS).describe("m", SOMEWHERE / "disk")


def test_every_vcpu_is_pinned_and_the_guest_sees_the_topology() -> None:
    machine = described(TunedMachine)
    assert sorted(machine.cpu.pins.values()) == sorted(map(str, os.sched_getaffinity(0)))
    assert machine.cpu.topology
    assert machine.cpu.topology.cpus == machine.vcpus
    assert not machine.objection()


def test_its_disk_bypasses_the_hosts_cache_in_its_own_thread() -> None:
    ((plain,), (disk,)) = (described(each).disks for each in (FullMachine, TunedMachine))
    assert (disk.path, disk.format) == (plain.path, plain.format)
    assert disk.cache == "none"
    assert disk.io in {"native", "io_uring"}
    assert disk.own_thread
    assert not disk.objection()


@pytest.mark.parametrize(("free", "size"), [("128", 2048), ("127", None)])
def test_huge_pages_are_used_if_enough_are_free(
    free: str, size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "free").write_text(free)
    monkeypatch.setattr(tuned, "_FREE", tmp_path / "free")
    assert described(TunedMachine).memory.huge_page_kib == size


def test_only_performance_measures_the_tuned_machine() -> None:
    full = profiles.find("full")
    asking = [name for name in full.rounds if full.asks(name, "vm-tuned")]
    assert asking == ["performance"]
    assert all(full.asks(name, "vm") for name in full.rounds)
    assert full.on("kvm").asks("performance", "vm-tuned")
    assert not full.on("tcg").asks("performance", "vm-tuned")
    assert full.of_named_targets().on("tcg").asks("performance", "vm-tuned")
    assert find("vm-tuned") is TunedMachine
