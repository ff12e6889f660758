"""Snapshots, hotplug, clones and migration, on real guests under emulation."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vms
from lab.cli import main
from lab.paths import cache_directory
from lab.targets.machines.machine import MicroMachine
from lab.userland import build
from vms import paths
from vms.connection import daemon
from vms.operations import clone, hotplug, migrate, screenshot, snapshots, statistics
from vms.qemu import acceleration
from vms.storage import disks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vms.description import Chipset

pytestmark = pytest.mark.root
BOOT_SECONDS = 60.0
IMAGES = (cache_directory(),)


@pytest.fixture(scope="module")
def connection(embedded: Path) -> Iterator[vms.Connection]:
    with vms.Connection.open(embedded / "l-tested", image_directories=IMAGES) as opened:
        yield opened


def machine(root: Path, name: str, chipset: Chipset) -> vms.Machine:
    land = build.build(lambda _: None)
    disk = root / f"{name}.qcow2"
    disks.clone(land.disk, disk)
    words = f"{MicroMachine.kernel_words} {acceleration.kernel_words()}"
    full = chipset != "microvm"
    return vms.Machine(
        name=name,
        vcpus=1,
        memory_mib=128 if full else 96,
        accelerator=vms.Accelerator.TCG,
        chipset=chipset,
        boot=vms.DirectKernel(land.kernel, land.initramfs, words),
        disks=(vms.Disk(disk),),
        channels=("tonnage.events", "tonnage.agent"),
        balloon=vms.Balloon(),
        cpu=vms.Cpu(maximum=2) if full else vms.Cpu(),
        video="vga" if full else None,
    )


def up(domain: vms.Domain) -> vms.Domain:
    domain.start()
    domain.wait_for("ready", BOOT_SECONDS)
    return domain


@pytest.fixture(scope="module")
def small(connection: vms.Connection) -> Iterator[vms.Domain]:
    domain = connection.define(machine(connection.root, "small", "microvm"))
    try:
        yield up(domain)
    finally:
        domain.destroy()
        domain.undefine()


@pytest.fixture(scope="module")
def large(connection: vms.Connection) -> Iterator[vms.Domain]:
    domain = connection.define(machine(connection.root, "large", "i440fx"))
    try:
        yield up(domain)
    finally:
        domain.destroy()
        domain.undefine()


def output(box: vms.Domain, command: str) -> str:
    return box.inside.run(["sh", "-c", command], 30).stdout.decode().strip()


def test_an_internal_snapshot_has_disk_and_memory(small: vms.Domain) -> None:
    output(small, "echo one > /root/f; sync; echo one > /run/f")
    snapshot = snapshots.create(small, "before", description="nothing is lost")
    assert (snapshot.has_memory, snapshot.is_external) == (True, False)
    assert snapshot.description == "nothing is lost"
    output(small, "echo two > /root/f; sync; echo two > /run/f")
    snapshots.revert(small, "before")
    assert output(small, "cat /root/f /run/f") == "one\none"
    assert [each.name for each in snapshots.of(small)] == ["before"]
    snapshots.delete(small, "before")
    assert snapshots.of(small) == []
    with pytest.raises(vms.MachineError, match="small has no snapshot before"):
        snapshots.revert(small, "before")


def test_external_snapshots_are_reverted_and_merged(small: vms.Domain) -> None:
    disk = snapshots.images(small)["vda"]
    snapshots.create(small, "one", external=True)
    output(small, "echo lost > /root/g; sync")
    snapshots.revert(small, "one")
    small.wait_for("ready", BOOT_SECONDS)
    assert output(small, "ls /root") == "f"
    output(small, "echo kept > /root/g; sync")
    snapshots.create(small, "two", external=True)
    with pytest.raises(vms.MachineError, match="delete the snapshots that came later first"):
        snapshots.delete(small, "one")
    snapshots.delete(small, "two")
    snapshots.delete(small, "one")
    assert snapshots.images(small) == {"vda": disk}
    assert [path.name for path in disk.parent.glob("small.*")] == ["small.qcow2"]
    assert output(small, "cat /root/g") == "kept"


def test_a_microvm_refuses_unsupported_devices(
    connection: vms.Connection, small: vms.Domain
) -> None:
    with pytest.raises(vms.MachineError, match="small is a microvm, which has no bus"):
        hotplug.attach_disk(connection, small, vms.Disk(Path("/nowhere")))
    with pytest.raises(vms.MachineError, match="small can have 1 to 1 vCPUs"):
        hotplug.set_vcpus(small, 2)
    with pytest.raises(vms.MachineError, match="small has no slots for memory modules"):
        hotplug.attach_memory(small, 64)
    with pytest.raises(vms.MachineError, match="Can't take a screenshot of small"):
        screenshot.take(small)


def test_disk_and_balloon_are_resized(connection: vms.Connection, small: vms.Domain) -> None:
    hotplug.resize_disk(small, "vda", 3 << 30)
    assert output(small, "cat /sys/block/vda/size") == str((3 << 30) // 512)
    with pytest.raises(vms.MachineError, match="can only grow while it is in use"):
        hotplug.resize_disk(small, "vda", 1 << 30)
    hotplug.set_memory(small, 80)
    (figures,) = (each for each in statistics.all_machines(connection) if each.name == "small")
    assert figures.state == "running"
    assert figures.cpu_ns > 0
    assert figures.resident_bytes > 32 << 20
    assert figures.maximum_memory_bytes == 96 << 20
    assert figures.disks[0].capacity_bytes == 3 << 30
    hotplug.set_memory(small, 96)


def test_a_machine_that_is_off_is_cloned(connection: vms.Connection, small: vms.Domain) -> None:
    with pytest.raises(vms.MachineError, match="must be shut off to be cloned"):
        clone.clone(connection, small, "copy")
    output(small, "sync")
    assert small.shutdown(BOOT_SECONDS) == "acpi"
    copy = clone.clone(connection, small, "copy")
    try:
        with pytest.raises(vms.MachineError, match="There is a machine copy already"):
            clone.clone(connection, small, "copy")
        up(copy)
        assert output(copy, "cat /root/g") == "kept"
        up(small)
    finally:
        copy.destroy()
        copy.undefine()


def test_devices_are_plugged_in_and_out(
    connection: vms.Connection, large: vms.Domain, tmp_path: Path
) -> None:
    land = build.build(lambda _: None)
    more = connection.root / "more.qcow2"
    disks.clone(land.disk, more)
    target = hotplug.attach_disk(connection, large, vms.Disk(more))
    assert target == "vdb"
    mac = hotplug.attach_interface(large, vms.UserNetwork())
    addresses = "for i in 1 2 3 4 5 6 7 8 9; do cat /sys/class/net/*/address; sleep 0.2; done"
    assert mac in output(large, addresses)
    assert "vdb" in output(large, "ls /sys/block")
    hotplug.set_vcpus(large, 2)
    with pytest.raises(vms.MachineError, match="large can have 1 to 2 vCPUs"):
        hotplug.set_vcpus(large, 3)
    assert output(large, "sleep 1; ls -d /sys/devices/system/cpu/cpu1").endswith("cpu1")
    hotplug.detach_interface(large, mac)
    hotplug.detach_disk(large, target)
    assert output(large, "ls /sys/block") == "vda"
    with pytest.raises(vms.MachineError, match="large has no disk vdb"):
        hotplug.detach_disk(large, target)


def test_hardware_is_changed_by_verbs(
    connection: vms.Connection, large: vms.Domain, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str]:
        return vm(capsys, address_of(connection), *words)

    disk = connection.root / "verb.raw"
    with disk.open("wb") as file:
        file.truncate(1 << 20)
    code, printed = run("attach-disk", "large", str(disk), "--disk-format", "raw")
    target = printed.strip()
    assert code == 0, printed
    wait_until(lambda: target in output(large, "ls /sys/block").split())
    assert run("blockresize", "large", target, "2") == (0, "")
    assert output(large, f"cat /sys/block/{target}/size") == str((2 << 20) // 512)
    assert run("detach-disk", "large", target) == (0, "")
    code, mac = run("attach-interface", "large")
    assert code == 0
    assert run("detach-interface", "large", mac.strip()) == (0, "")
    assert run("setvcpus", "large", "2") == (0, "")
    code, printed = run("setvcpus", "large", "3")
    assert (code, "large can have 1 to 2 vCPUs" in printed) == (2, True)
    assert run("setmem", "large", "120") == (0, "")
    assert run("setmem", "large", "128") == (0, "")
    code, printed = run("attach-memory", "large", "128")
    assert (code, "no slots for memory" in printed) == (2, True)


def test_memory_is_plugged_in_and_out(
    connection: vms.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = machine(connection.root, "roomy", "q35")
    assert isinstance(plain.boot, vms.DirectKernel)
    words = f"{plain.boot.command_line} memhp_default_state=online_movable"
    roomy = dataclasses.replace(
        plain,
        memory_mib=256,
        memory=vms.Memory(maximum_mib=640),
        boot=dataclasses.replace(plain.boot, command_line=words),
    )
    with connection.start(roomy) as box:
        box.events.wait_for("listening", time.monotonic_ns() + int(BOOT_SECONDS * 1e9))
        before = memory_mib(box)
        with pytest.raises(vms.MachineError, match="a multiple of 128 MiB, not 100"):
            hotplug.attach_memory(box, 100)
        with pytest.raises(vms.MachineError, match="roomy was described with room for 384 MiB"):
            hotplug.attach_memory(box, 512)
        assert vm(capsys, address_of(connection), "attach-memory", "roomy", "256") == (0, "dimm0\n")
        wait_until(lambda: memory_mib(box) == before + 256)
        with pytest.raises(vms.MachineError, match="room for 128 MiB more"):
            hotplug.attach_memory(box, 256)
        with pytest.raises(vms.MachineError, match="roomy has no memory module dimm7"):
            hotplug.detach_memory(box, "dimm7")
        assert vm(capsys, address_of(connection), "detach-memory", "roomy", "dimm0") == (0, "")
        wait_until(lambda: memory_mib(box) == before)


def memory_mib(box: vms.Domain) -> int:
    return int(output(box, "cat /proc/meminfo").split()[1]) >> 10


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_screenshot_is_taken(large: vms.Domain) -> None:
    picture = screenshot.take(large)
    assert picture.startswith(b"\x89PNG")
    assert picture.endswith(b"IEND\xaeB`\x82")


def test_a_running_machine_is_migrated_and_controlled_by_the_command_line(
    connection: vms.Connection,
    embedded: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paths, "images", lambda: IMAGES[0])  # the command line has no option for it
    box = up(connection.define(machine(connection.root, "mover", "microvm")))
    output(box, "echo kept > /run/moved")
    with (
        daemon.running(embedded / "d") as uri,
        vms.Connection.open(embedded / "e", uri, image_directories=IMAGES) as there,
    ):
        box.disconnect()
        code, printed = vm(
            capsys, address_of(connection), "migrate", "mover", uri, "--format", "json"
        )
        assert code == 0, printed
        figures = json.loads(printed)
        assert 0 < figures["downtime_seconds"] < figures["total_seconds"] < BOOT_SECONDS
        assert figures["transferred_bytes"] > 1 << 20
        moved = there.find("mover")
        assert output(moved, "cat /run/moved") == "kept"
        assert "mover" not in [each.name for each in connection.domains()]
        with pytest.raises(vms.MachineError, match="can't receive machines"):
            migrate.migrate(moved, connection)
        moved.disconnect()
        verbs_of_life(uri, capsys)
        verbs_inside(uri, capsys, connection.root)
        verbs_of_a_machine_that_is_off(uri, capsys)


def address_of(connection: vms.Connection) -> str:
    """Return the address of this process's embedded libvirt, for commands in this process."""
    return str(connection.handle.getURI())


def vm(capsys: pytest.CaptureFixture[str], uri: str, verb: str, *words: str) -> tuple[int, str]:
    """Run `tonnage vm VERB`; return its exit code and output."""
    code = main.main(["vm", verb, "--connect", uri, *words])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def verbs_of_life(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run the verbs of a machine's life on the migrated machine."""

    def run(*words: str) -> tuple[int, str]:
        return vm(capsys, uri, *words)

    assert run("exec", "mover", "--", "sh", "-c", "echo hi; exit 4") == (4, "hi\n")
    assert run("suspend", "mover") == (0, "")
    assert "paused" in run("stats")[1]
    assert run("resume", "mover") == (0, "")
    assert run("snapshot-create", "mover", "s") == (0, "")
    assert '"name": "s"' in run("snapshot-list", "mover", "--format", "json")[1]
    assert run("snapshot-delete", "mover", "s") == (0, "")
    code, printed = run("start", "nobody")
    assert (code, "There is no machine nobody here" in printed) == (2, True)


def verbs_inside(uri: str, capsys: pytest.CaptureFixture[str], directory: Path) -> None:
    """Copy files in and out, and use the console."""
    file, back = directory / "sent", directory / "back"
    file.write_bytes(os.urandom(70_000))
    assert vm(capsys, uri, "cp", str(file), "mover:/root/sent") == (0, "")
    assert vm(capsys, uri, "cp", "mover:/root/sent", str(back)) == (0, "")
    assert back.read_bytes() == file.read_bytes()
    code, printed = vm(capsys, uri, "cp", str(file), str(back))
    assert (code, "cp copies between this host and a machine" in printed) == (2, True)

    listens = "(read line; echo heard $line) </dev/ttyS0 >/dev/ttyS0 2>&1 &"
    assert vm(capsys, uri, "exec", "mover", "--", "sh", "-c", listens) == (0, "")
    console = subprocess.Popen(
        [sys.executable, "-m", "lab", "vm", "console", "mover", "--connect", uri],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with console:
        assert console.stdin is not None
        assert console.stdout is not None
        console.stdin.write(b"ahoy\r")
        console.stdin.flush()
        seen = b""
        while b"heard ahoy" not in seen:
            some = os.read(console.stdout.fileno(), 4096)
            assert some, seen
            seen += some
        console.communicate(b"\x1d")
    assert console.returncode == 0


def verbs_of_a_machine_that_is_off(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Shut down, rename, clone and undefine the machine."""

    def run(*words: str) -> tuple[int, str]:
        return vm(capsys, uri, *words)

    code, printed = run("clone", "mover", "twin")
    assert (code, "must be shut off to be cloned" in printed) == (2, True)
    assert "was shut down by acpi" in run("shutdown", "mover")[1]
    assert run("rename", "mover", "cask") == (0, "")
    assert run("rename", "cask", "mover") == (0, "")
    assert run("clone", "mover", "twin") == (0, "twin\n")
    listed = {
        each["name"]: each["state"] for each in json.loads(run("list", "--format", "json")[1])
    }
    assert listed == {"mover": "shut off", "twin": "shut off"}
    assert run("undefine", "twin", "mover") == (0, "")


def killed_at(moment: str, root: Path, box: vms.Machine) -> None:
    """Kill a process that starts a machine, `moment` seconds after it begins."""
    code = (
        "import os, pathlib, pickle, sys, threading, time\n"
        "import vms\n"
        "root, moment = pathlib.Path(sys.argv[1]), float(sys.argv[2])\n"
        "box = pickle.load(sys.stdin.buffer)\n"
        "def kill():\n"
        "    time.sleep(moment)\n"
        "    os.kill(os.getpid(), 9)\n"
        "threading.Thread(target=kill).start()\n"
        "with vms.Connection.open(root, image_directories=[root.parent]) as connection:\n"
        "    connection.start(box)\n"
        "    time.sleep(60)\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(root), moment],
        input=pickle.dumps(box), check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("moment", ["0.3", "3.0", "6.0"])
def test_a_killed_process_leaves_nothing_that_clean_misses(embedded: Path, moment: str) -> None:
    root = embedded / f"k{moment}"
    root.mkdir()
    box = machine(root, "killed", "microvm")
    bare = vms.Machine("killed", 1, 64, box.accelerator, "microvm", box.boot)
    killed_at(moment, root, bare)
    vms.clean(root)
    assert not root.exists()
    assert processes_that_name(root) == []


def processes_that_name(root: Path) -> list[str]:
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if os.fsencode(root) in line:
            lines.append(line.decode(errors="replace"))
    return lines
