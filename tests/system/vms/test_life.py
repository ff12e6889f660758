"""Life of a machine, on real guests under emulation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vms
from lab.paths import cache_directory
from lab.targets.machines.machine import MicroMachine
from lab.userland import build
from vms.domain.events import Events
from vms.guest import file_copy
from vms.qemu import acceleration
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root
BOOT_SECONDS = 60.0


@pytest.fixture(scope="module")
def connection(embedded: Path) -> Iterator[vms.Connection]:
    images = (cache_directory(),)
    with vms.Connection.open(embedded / "l-tested", image_directories=images) as opened:
        yield opened


@pytest.fixture(scope="module")
def box(connection: vms.Connection) -> Iterator[vms.Domain]:
    """A microvm that is defined and booted; shared, since a boot takes seconds."""
    land = build.build(lambda _: None)
    disk = connection.root / "box.qcow2"
    disks.clone(land.disk, disk)
    words = f"{MicroMachine.kernel_words} {acceleration.kernel_words()}"
    domain = connection.define(
        vms.Machine(
            name="box",
            vcpus=1,
            memory_mib=96,
            accelerator=vms.Accelerator.TCG,
            chipset="microvm",
            boot=vms.DirectKernel(land.kernel, land.initramfs, words),
            disks=(vms.Disk(disk),),
            channels=("tonnage.events", "tonnage.agent"),
            balloon=vms.Balloon(),
            on_reboot="restart",
        )
    )
    try:
        domain.start()
        domain.wait_for("ready", BOOT_SECONDS)
        yield domain
    finally:
        domain.destroy()
        domain.undefine()


def output(box: vms.Domain, *argv: str) -> str:
    return box.inside.run(argv, 30).stdout.decode().strip()


def test_a_late_listener_learns_of_the_start(box: vms.Domain) -> None:
    for milestone in ("first-instruction", "userspace", "ready"):
        if milestone != "userspace":  # its init reaches no target
            assert box.wait_for(milestone, BOOT_SECONDS)
    with pytest.raises(vms.BootTimeout, match="box did not reach userspace"):
        box.wait_for("userspace", 0.1)


def test_commands_run_inside(box: vms.Domain) -> None:
    script = "wc -c; echo no >&2; sleep 0.1; exit 3"
    completed = box.inside.run(["sh", "-c", script], 30, b"x" * 300_000)
    assert (completed.exit_code, completed.stdout) == (3, b"300000\n")
    assert completed.stderr == b"no\n"
    assert completed.elapsed_ns > 100_000_000
    assert box.inside.run(["sh", "-c", "kill -9 $$"], 30).exit_code == 128 + 9


def test_a_late_answer_is_not_taken_for_the_next_one(box: vms.Domain) -> None:
    with pytest.raises(vms.MachineError, match=r"sleep in the machine did not end within 0\.2 s"):
        box.inside.run(["sleep", "1"], 0.2)
    assert output(box, "echo", "mine") == "mine"
    with pytest.raises(vms.MachineError):
        box.inside.run(["sleep", "1"], 0.2)
    box.disconnect()
    assert output(box, "echo", "mine") == "mine"


def test_files_are_copied_whole(box: vms.Domain, tmp_path: Path) -> None:
    here, back = tmp_path / "here", tmp_path / "back"
    here.write_bytes(bytes(range(256)) * 10_000)
    here.chmod(0o740)
    file_copy.copy_in(box.inside, here, "/root/file")
    assert output(box, "stat", "-c", "%a %s", "/root/file") == "740 2560000"
    file_copy.copy_out(box.inside, "/root/file", back)
    assert back.read_bytes() == here.read_bytes()
    with pytest.raises(vms.MachineError, match="In the machine: /nowhere: No such file"):
        file_copy.copy_out(box.inside, "/nowhere", tmp_path / "nothing")
    with pytest.raises(vms.MachineError, match="Can't read"):
        file_copy.copy_in(box.inside, tmp_path / "nothing", "/root/nothing")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "here"]
    assert output(box, "ls", "/root") == "file"


def test_it_is_suspended_saved_and_restored(connection: vms.Connection, box: vms.Domain) -> None:
    box.inside.run(["sh", "-c", "echo kept > /run/memory"], 30)
    box.suspend()
    assert (box.state, box.is_running) == ("paused", True)
    box.resume()
    assert box.state == "running"
    box.save()
    assert (box.state, box.is_saved) == ("shut off", True)
    box.start()
    assert output(box, "cat", "/run/memory") == "kept"
    saved = connection.root / "saved"
    box.save(saved)
    assert not box.is_running
    assert connection.restore(saved).name == "box"
    assert output(box, "cat", "/run/memory") == "kept"
    with pytest.raises(vms.MachineError, match="Can't restore"):
        connection.restore(connection.root / "nothing")


def test_it_is_reset_rebooted_and_shut_down(connection: vms.Connection, box: vms.Domain) -> None:
    with Events(connection.handle, ("lifecycle", "reboot")) as events:
        box.reset()
        box.disconnect()
        box.wait_for("ready", BOOT_SECONDS)
        assert output(box, "ls", "/run/memory") == ""
        box.reboot()
        while (event := events.within(BOOT_SECONDS)) and event.kind != "reboot":
            pass
        assert event
        box.disconnect()
        box.wait_for("ready", BOOT_SECONDS)
        assert box.shutdown(BOOT_SECONDS) == "acpi"
        assert box.state == "shut off"
        names = [each.name for each in iter(lambda: events.within(1), None)]
        assert names[-2:] == ["shutdown", "stopped"]


def test_a_machine_that_is_off_is_renamed_and_started_with_libvirt(
    connection: vms.Connection, box: vms.Domain
) -> None:
    box.rename("cask")
    assert [each.name for each in connection.domains()] == ["cask"]
    box.rename("box")
    assert not box.autostart
    box.autostart = True
    assert connection.find("box").autostart
    box.autostart = False
    with pytest.raises(vms.MachineError, match="There is no machine cask here"):
        connection.find("cask")
    with pytest.raises(vms.MachineError, match="Can't resume box"):
        box.resume()
