"""Machines restored from a template, and machines started by QEMU without libvirt."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vms
from lab.targets import find
from lab.targets.base import Allotment, Settings
from lab.targets.machines.machine import Machine, MachineInstance
from lab.targets.machines.restored import Restored
from lab.userland import build
from vms.operations import templates
from vms.storage import disks

if TYPE_CHECKING:
    from lab.targets.base import Instance

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def settings(embedded: Path) -> Settings:
    return Settings(build.build(lambda _: None), embedded, "tcg")


def target_of(name: str, settings: Settings) -> Machine:
    """Return the target under one name: a process has one embedded libvirt, below one root."""
    cls = find(name)
    assert issubclass(cls, Machine)
    target: Machine = type("Tested", (cls,), {"name": "tested"})(settings)
    return target


def restored(settings: Settings) -> Restored:
    target = target_of("microvm-restore", settings)
    assert isinstance(target, Restored)
    return target


def output(instance: Instance, *argv: str) -> str:
    return instance.run(list(argv), 30).stdout.decode().strip()


def test_clones_of_a_microvm_share_nothing_they_write(
    settings: Settings,
) -> None:
    with restored(settings) as target:
        with target.start() as one, target.start() as two:
            for clone in (one, two):
                first, ready = clone.reached("first-instruction"), clone.reached("ready")
                assert first is not None and ready is not None
                assert clone.t0_ns < first < ready
                assert clone.reached("userspace") is None
                assert clone.spans()[-1].end_ns == first
            output(one, "sh", "-c", "echo mine > /note; sync")
            assert output(one, "cat", "/note") == "mine"
            assert output(two, "sh", "-c", "cat /note || echo none") == "none"
            assert one.pids() != two.pids()
            (pid,) = one.pids()
            one.stop()
            assert not Path(f"/proc/{pid}").exists()
            assert two.ask() > 0
        with target.start() as three:  # the template is unchanged
            assert output(three, "sh", "-c", "cat /note || echo none") == "none"
        sizes = target.image_bytes()
    with target_of("microvm", settings) as booted:
        assert sizes["image-on-disk"] > booted.image_bytes()["image-on-disk"]


def test_a_clone_has_its_allotted_memory(settings: Settings) -> None:
    with (
        restored(settings) as target,
        target.start(Allotment(cpus=1, memory_bytes=128 << 20)) as small,
    ):
        kib = int(output(small, "grep", "MemTotal", "/proc/meminfo").split()[1])
        assert 90 << 10 < kib < 128 << 10


def test_the_traditional_machine_is_restored_with_its_user_space(settings: Settings) -> None:
    with target_of("vm-restore", settings) as target, target.start() as clone:
        assert clone.reached("userspace") == clone.reached("first-instruction")
        assert clone.ask() > 0
        assert output(clone, "systemctl", "is-active", "multi-user.target") == "active"


def test_plain_qemu_runs_the_same_machine_as_libvirt(settings: Settings) -> None:
    def devices(name: str) -> list[str]:
        with target_of(name, settings) as target, target.start() as instance:
            assert instance.reached("ready") is not None
            listed = "ls /sys/bus/*/devices | sort -u; grep -c ^processor /proc/cpuinfo"
            flags = "grep ^flags /proc/cpuinfo; grep MemTotal /proc/meminfo"
            lines = output(instance, "sh", "-c", f"{listed}; {flags}").splitlines()
            assert isinstance(instance, MachineInstance)
            (pid,) = instance.pids()
        assert not Path(f"/proc/{pid}").exists()
        assert not instance.disk.exists()
        return lines

    assert devices("qemu-microvm") == devices("microvm")


def test_a_state_that_does_not_fit_is_refused_and_leaves_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    with restored(settings) as target:
        before = set(target.directory.iterdir())
        template = target.template(None)
        whole = template.state.read_bytes()
        template.state.write_bytes(b"not a state" + whole[11:])
        with pytest.raises(vms.MachineError, match=r"saved state|load of migration"):
            target.connection.start(
                template.clone("misfit", template.machine.networks, tmp_path), template
            )
        assert target.connection.running() == []
        template.state.write_bytes(whole)
        with target.start() as clone:
            assert clone.ask() > 0
        assert set(target.directory.iterdir()) == before


def test_a_template_that_does_not_settle_is_removed(settings: Settings) -> None:
    def never(_: vms.Domain) -> None:
        raise vms.MachineError("It never came up.")

    with target_of("microvm", settings) as target:
        disk = target.directory / "unsettled.qcow2"
        disks.clone(settings.userland.disk, disk)
        machine = target.describe(target.new_name(), disk)
        with pytest.raises(vms.MachineError, match="never came up"):
            templates.build(target.connection, machine, target.directory / "t", never)
        disk.unlink()
        assert not (target.directory / "t").exists()
        assert target.connection.running() == []


def test_a_port_in_use_is_refused(settings: Settings) -> None:
    with target_of("microvm", settings) as target, target.start() as one:
        assert isinstance(one, MachineInstance)
        before = set(target.directory.iterdir())
        disk = target.directory / "second.qcow2"
        disks.clone(settings.userland.disk, disk)
        two = target.describe(target.new_name(), disk)
        taken = vms.UserNetwork((vms.Forward(one.port, 7000),))

        with pytest.raises(vms.InUse, match="in use"):
            target.connection.start(dataclasses.replace(two, networks=(taken,)))
        assert len(target.connection.running()) == 1
        disk.unlink()
        assert set(target.directory.iterdir()) == before
