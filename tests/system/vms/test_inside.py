"""Commands in a full machine by qemu-guest-agent, and failures of guests and of libvirt."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vms
from lab.paths import cache_directory
from lab.targets.machines.machine import FullMachine
from lab.userland import build
from vms.connection import daemon
from vms.guest import file_copy
from vms.operations import statistics
from vms.qemu import acceleration
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root
BOOT_SECONDS = 120.0
IMAGES = (cache_directory(),)
CRASH = ["write", "/proc/sysrq-trigger", "1"]


@pytest.fixture(scope="module")
def connection(embedded: Path) -> Iterator[vms.Connection]:
    with vms.Connection.open(embedded / "l-tested", image_directories=IMAGES) as opened:
        yield opened


def bare(name: str, words: str = "") -> vms.Machine:
    """Return the smallest machine: without a disk, with the payload as its init."""
    land = build.build(lambda _: None)
    line = f"console=ttyS0 quiet loglevel=1 panic=-1 {acceleration.kernel_words()} {words}"
    return vms.Machine(
        name=name,
        vcpus=1,
        memory_mib=96,
        accelerator=vms.Accelerator.TCG,
        chipset="microvm",
        boot=vms.DirectKernel(land.kernel, land.initramfs, line),
        channels=("tonnage.events", "tonnage.agent"),
    )


def test_commands_and_files_go_through_qemu_guest_agent(
    connection: vms.Connection, tmp_path: Path
) -> None:
    land = build.build(lambda _: None)
    disk = connection.root / "full.qcow2"
    disks.clone(land.disk, disk)
    words = f"{FullMachine.kernel_words} {acceleration.kernel_words()}"
    machine = vms.Machine(
        name="full",
        vcpus=1,
        memory_mib=256,
        accelerator=vms.Accelerator.TCG,
        chipset="q35",
        boot=vms.DirectKernel(land.kernel, land.initramfs, words),
        disks=(vms.Disk(disk),),
        channels=("tonnage.events", "org.qemu.guest_agent.0"),
    )
    with connection.start(machine) as box:
        box.wait_for("userspace", BOOT_SECONDS)
        box.wait_for("ready", BOOT_SECONDS)
        script = "echo hi; echo no >&2; sleep 0.2; exit 3"
        result = box.inside.run(["sh", "-c", script], BOOT_SECONDS)
        assert (result.exit_code, result.stdout, result.stderr) == (3, b"hi\n", b"no\n")
        assert result.elapsed_ns >= 190_000_000
        assert box.inside.run(["wc", "-c"], BOOT_SECONDS, b"abc").stdout == b"3\n"
        here, back = tmp_path / "here", tmp_path / "back"
        here.write_bytes(bytes(range(256)) * 256)
        file_copy.copy_in(box.inside, here, "/root/file")
        file_copy.copy_out(box.inside, "/root/file", back)
        assert back.read_bytes() == here.read_bytes()
        with pytest.raises(vms.MachineError, match="No such file"):
            file_copy.copy_out(box.inside, "/nowhere", back)
        assert box.shutdown(BOOT_SECONDS) in {"acpi", "agent"}
    disk.unlink()


def test_a_kernel_panic_is_reported(connection: vms.Connection) -> None:
    with (
        connection.start(bare("panics", "rdinit=/nowhere init=/nowhere")) as box,
        pytest.raises(vms.BootTimeout, match=r"did not reach first-instruction: .*panicked"),
    ):
        box.wait_for("first-instruction", BOOT_SECONDS)


@pytest.mark.parametrize(
    ("role", "words", "why"),
    [
        (["poweroff"], "", r"(shutting down|shut off|Domain not found)"),
        (CRASH, "", "kernel panicked: .* sysrq triggered crash"),
        (CRASH, "panic=0", "kernel panicked: .* sysrq triggered crash"),  # it stays as it is
    ],
)
def test_a_machine_that_ends_under_a_command_says_why(
    role: list[str], words: str, why: str, connection: vms.Connection
) -> None:
    payload = "/proc/self/exe"
    with connection.start(bare("dies", words)) as box:
        box.wait_for("ready", BOOT_SECONDS)
        with pytest.raises(vms.InvalidState, match=f"ended while {payload} ran in it: .*{why}"):
            box.inside.run([payload, *role], BOOT_SECONDS, b"c")


def test_the_wait_for_a_hanging_guest_times_out(connection: vms.Connection) -> None:
    with connection.start(bare("hangs")) as box:
        box.suspend()
        with pytest.raises(vms.BootTimeout, match="hangs did not reach ready: its agent did not"):
            box.wait_for("ready", 0.5)


def test_too_much_memory_leaves_nothing_behind(connection: vms.Connection) -> None:
    with pytest.raises(vms.MachineError, match="memory"):
        connection.start(replace(bare("greedy"), memory_mib=1 << 24))
    assert connection.running() == []
    assert list(connection.sockets.iterdir()) == []


def test_a_libvirt_that_goes_away_is_reported(embedded: Path) -> None:
    root = embedded / "g"
    not_destroyed = r"Can't destroy orphan: .*connection to libvirt was lost"
    with (
        daemon.running(root) as uri,
        pytest.raises(vms.MachineError, match=not_destroyed),
        vms.Connection.open(embedded / "h", uri, image_directories=IMAGES) as connection,
    ):
        with (
            pytest.raises(vms.MachineError, match=not_destroyed),
            connection.start(bare("orphan")) as box,
        ):
            pid = int((root / "pid").read_text())
            box.wait_for("ready", BOOT_SECONDS)
            os.kill(pid, signal.SIGSTOP)
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(
                vms.MachineError, match=r"Can't suspend orphan: .*connection to libvirt was lost"
            ):
                box.suspend()
        with pytest.raises(vms.MachineError, match=r"no libvirt answers at that address"):
            statistics.all_machines(connection)
    vms.clean(root)
