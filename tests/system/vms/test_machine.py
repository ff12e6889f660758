"""Real machines under emulation: start, output, commands, and removal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vms
from lab.paths import cache_directory
from lab.targets.machines.machine import FullMachine, MicroMachine
from lab.userland import build, guest_kernel
from vms.boot import kernel
from vms.boot.initramfs import build_frugal
from vms.qemu import acceleration
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vms.description import Chipset

pytestmark = pytest.mark.root
BOOT_SECONDS = 60.0
IMAGES = (cache_directory(),)


@pytest.fixture
def root(embedded: Path) -> Iterator[Path]:
    """The root of an embedded libvirt; no QEMU of it may be left at the end."""
    yield embedded / "l-tested"
    assert machines_below(embedded) == []


def machines_below(root: Path) -> list[int]:
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if line.startswith(b"/usr/bin/qemu-system") and os.fsencode(root) in line:
                pids.append(int(entry.name))
    return pids


def machine(land: build.Userland, root: Path, name: str, chipset: Chipset) -> vms.Machine:
    root.mkdir(exist_ok=True)
    disk = root / f"{name}.qcow2"
    disks.clone(land.disk, disk)
    words = MicroMachine.kernel_words if chipset == "microvm" else FullMachine.kernel_words
    return vms.Machine(
        name=name,
        vcpus=1,
        memory_mib=256,
        accelerator=vms.Accelerator.TCG,
        chipset=chipset,
        boot=vms.DirectKernel(
            land.kernel, land.initramfs, f"{words} {acceleration.kernel_words()}"
        ),
        disks=(vms.Disk(disk),),
        channels=("tonnage.events", "tonnage.agent"),
        networks=(vms.UserNetwork(),),
    )


def deadline() -> int:
    return time.monotonic_ns() + int(BOOT_SECONDS * 1e9)


def test_two_microvms_start_answer_and_are_removed(land: build.Userland, root: Path) -> None:
    with vms.Connection.open(root, image_directories=IMAGES) as connection:
        boxes = [connection.start(machine(land, root, name, "microvm")) for name in ("one", "two")]
        for box in boxes:
            first = box.console.wait_for("first-instruction", deadline())
            assert first < box.events.wait_for("listening", deadline())
            assert box.is_running
            reply = box.agent.run(["sh", "-c", "echo hi; echo no >&2; exit 3"], 30)
            assert (reply.exit_code, reply.stdout, reply.stderr) == (3, b"hi\n", b"no\n")
            assert reply.elapsed_ns > 0
        release = boxes[0].agent.run(["uname", "-r"], 30).stdout.decode().strip()
        assert release != os.uname().release
        pids = [box.vmm_pid for box in boxes]
        assert connection.running() == boxes
        boxes[0].destroy()
        assert not Path(f"/proc/{pids[0]}").exists()
        assert not boxes[0].is_running
        boxes[0].destroy()  # a second time, without effect
        assert connection.running() == [boxes[1]]
    assert not Path(f"/proc/{pids[1]}").exists()
    assert list((root / "s").iterdir()) == []


def test_the_agent_answers_in_microvms_of_64_mib_without_disks(
    land: build.Userland, root: Path, tmp_path: Path
) -> None:
    debian_kernel = kernel.fetch(land.kernel.parent.parent)
    # The guests print to their consoles, which nothing reads.
    words = f"console=ttyS0 panic=-1 {acceleration.kernel_words()}"
    small = vms.Machine(
        name="small-0",
        vcpus=1,
        memory_mib=64,
        accelerator=vms.Accelerator.TCG,
        chipset="microvm",
        boot=build_frugal(tmp_path, land.payload, debian_kernel, words),
        channels=("tonnage.agent",),
    )
    with vms.Connection.open(root) as connection:
        several = [connection.start(replace(small, name=f"small-{n}")) for n in range(4)]
        for box in several:
            assert box.wait_for("ready", BOOT_SECONDS)
            memory = b"".join(box.agent.read_file("/proc/meminfo", 30)).split()
            assert int(memory[1]) < 64 << 10


def test_the_traditional_machine_reaches_its_user_space(land: build.Userland, root: Path) -> None:
    with (
        vms.Connection.open(root, image_directories=IMAGES) as connection,
        connection.start(machine(land, root, "vm", "q35")) as box,
    ):
        first = box.console.wait_for("first-instruction", deadline())
        assert first < box.events.wait_for("userspace", deadline())
        state = box.agent.run(["systemctl", "is-active", "multi-user.target"], 30)
        assert state.stdout == b"active\n"
        init = box.agent.run(["readlink", "/proc/1/exe"], 30).stdout
        assert init.endswith(b"systemd\n")


def test_a_silent_guest_runs_into_the_deadline(land: build.Userland, root: Path) -> None:
    with (
        vms.Connection.open(root, image_directories=IMAGES) as connection,
        connection.start(machine(land, root, "mute", "microvm")) as box,
    ):
        with pytest.raises(vms.BootTimeout):
            box.console.wait_for("never", time.monotonic_ns() + 100_000_000)
        pid = box.vmm_pid
    assert not Path(f"/proc/{pid}").exists()


def test_an_invalid_image_is_refused_and_leaves_nothing(land: build.Userland, root: Path) -> None:
    with vms.Connection.open(root, image_directories=IMAGES) as connection:
        bad = machine(land, root, "bad", "microvm")
        bad.disks[0].path.write_bytes(b"no image")
        with pytest.raises(vms.MachineError, match=r"bad\.qcow2 is not a qcow2 image"):
            connection.start(bad)
        assert connection.running() == []
        assert list((root / "s").iterdir()) == []


def test_an_invalid_address_is_refused(root: Path) -> None:
    with (
        pytest.raises(vms.MachineError, match="Can't open libvirt at zeppelin"),
        vms.Connection.open(root, "zeppelin:///x"),
    ):
        pass
    with (
        pytest.raises(vms.MachineError, match="too long"),
        vms.Connection.open(Path("/tmp") / ("x" * 90)),
    ):
        pass


def test_the_machines_of_a_killed_process_are_cleaned_up(
    land: build.Userland, embedded: Path
) -> None:
    root = embedded / "o"
    box = machine(land, root, "orphan", "microvm")
    code = (
        "import os, pathlib, sys, vms\n"
        "from vms import *\n"
        "paths = [pathlib.Path(word) for word in sys.argv[1:]]\n"
        "with vms.Connection.open(paths[0], None, paths[4:]) as connection:\n"
        "    connection.start(vms.Machine('orphan', 1, 256, vms.Accelerator.TCG, 'microvm',\n"
        "        vms.DirectKernel(paths[1], paths[2], 'console=ttyS0'), (vms.Disk(paths[3]),)))\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    words = [root, land.kernel, land.initramfs, box.disks[0].path, *IMAGES]
    killed = subprocess.run([sys.executable, "-c", code, *words], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    (pid,) = machines_below(root)
    assert f"killed machine orphan (process {pid})" in vms.clean(root)
    assert not root.exists()
    assert vms.clean(root) == []


def test_the_test_boot_under_kvm_keeps_its_deadline(land: build.Userland) -> None:
    begun = time.monotonic()
    verdict = acceleration.prove_kvm(land.kernel, land.initramfs, 6.0)
    assert time.monotonic() - begun < 10
    assert verdict.reason
    assert verdict.works == ("a Linux guest ran" in verdict.reason)


def test_the_probes_guest_boots_by_either_entry_of_its_kernel(land: build.Userland) -> None:
    """Emulation runs both, so a guest that is silent under KVM has a reason in KVM."""
    for image in (land.kernel, guest_kernel.uncompressed(land.kernel)):
        verdict = acceleration.boots(image, land.initramfs, 120.0, "tcg")
        assert verdict.works, verdict.reason


def test_a_machine_boots_an_uncompressed_kernel(root: Path, land: build.Userland) -> None:
    boot = vms.DirectKernel(
        guest_kernel.uncompressed(land.kernel), land.initramfs, "console=ttyS0 quiet panic=-1"
    )
    with vms.Connection.open(root) as connection:
        for chipset in ("q35", "i440fx"):
            machine_ = vms.Machine("pvh", 1, 256, vms.Accelerator.TCG, chipset, boot)
            with connection.start(machine_) as box:
                box.wait_for("first-instruction", 120)
