"""A daemon that is not ours: libvirtd in mount and network namespaces of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vms
from lab.cli import exit_codes, main
from lab.planning.inventory import CPUS, MEMORY_BYTES
from lab.planning.readers import libvirt_domains
from lab.userland import build
from tests.system.vms.reaper import REAPER
from vms.operations import listing, networks, snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        not shutil.which("libvirtd"),
        reason="libvirtd is not installed: apt-get install libvirt-daemon",
    ),
]
OWN = ("/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt", "/run/libvirt")
QEMU_CONF = 'stdio_handler="file"\nsecurity_driver="none"\nuser="root"\ngroup="root"\n' \
    "cgroup_controllers=[]\nnamespaces=[]\nremember_owner=0\n"  # fmt: skip
PREPARE = (
    "ip link set lo up; for d in {own}; do mkdir -p $d; mount -t tmpfs tonnage-test $d; done;"
    " cp {root}/qemu.conf /etc/libvirt/; touch {root}/prepared; exec sleep 600"
)


class Daemon:
    """A libvirtd that can be killed and started again while its machines run on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.reapers: list[subprocess.Popen[bytes]] = []
        self.uri = f"qemu+unix:///system?socket={root}/libvirt-sock"
        (root / "qemu.conf").write_text(QEMU_CONF)
        (root / "libvirtd.conf").write_text(
            f'unix_sock_dir="{root}"\nauth_unix_rw="none"\nauth_unix_ro="none"\n'
            'log_outputs="4:file:/dev/null"\n'
        )
        script = PREPARE.format(own=" ".join(OWN), root=root)
        unshare = ["unshare", "--mount", "--net", "--propagation", "private", "sh", "-c", script]
        self.holder = subprocess.Popen(unshare)
        wait_until((root / "prepared").exists)
        self.start()

    def start(self) -> None:
        inside = ["nsenter", "-t", str(self.holder.pid), "--mount", "--net"]
        words = ["libvirtd", "-f", str(self.root / "libvirtd.conf"), "-p", f"{self.root}/pid"]
        reaper = [sys.executable, "-c", REAPER]
        self.reapers.append(subprocess.Popen([*inside, *reaper, *words]))
        wait_until((self.root / "libvirt-sock").exists)

    def kill(self) -> None:
        pid = int((self.root / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{pid}").exists())
        (self.root / "libvirt-sock").unlink(missing_ok=True)

    def end(self) -> None:
        """Kill all processes in its mount namespace: the daemon, its dnsmasq, its machines."""
        ours = Path(f"/proc/{self.holder.pid}/ns/mnt").stat().st_ino
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "ns/mnt").stat().st_ino == ours and int(process.name) != os.getpid():
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                continue
        self.holder.wait()
        for reaper in self.reapers:
            reaper.wait()


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, condition
        time.sleep(0.05)


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(prefix="tonnage-", dir="/tmp") as path:
        started = Daemon(Path(path))
        try:
            yield started
        finally:
            started.end()


def machine(land: build.Userland, name: str, *cards: vms.description.Network) -> vms.Machine:
    return vms.Machine(
        name=name,
        vcpus=1,
        memory_mib=128,
        accelerator=vms.Accelerator.TCG,
        chipset="q35",
        boot=vms.DirectKernel(land.kernel, land.initramfs, "console=ttyS0 quiet panic=-1"),
        channels=("tonnage.events", "tonnage.agent"),
        networks=cards,
    )


def test_a_machine_outlives_its_daemon(daemon: Daemon, land: build.Userland) -> None:
    with vms.Connection.open(daemon.root / "c", daemon.uri) as connection:
        assert connection.is_local
        box = connection.start(machine(land, "box"))
        box.events.wait_for("listening", time.monotonic_ns() + 60 * 10**9)
        assert [each.name for each in listing.machines(connection)] == ["box"]
        daemon.kill()
        with pytest.raises(
            vms.MachineError, match=r"connection to libvirt was lost|no libvirt answers"
        ):
            listing.machines(connection)
        assert box.agent.run(["/init", "syscalls", "1"], 30).exit_code == 0
        daemon.start()
        (machine_,) = listing.machines(connection)
        assert (machine_.name, machine_.state) == ("box", "running")
        assert box.is_running
        box.destroy()
        assert listing.machines(connection) == []


def test_a_refused_operation_leaves_the_machine_running(
    daemon: Daemon, land: build.Userland
) -> None:
    """Each operation on a read-only connection names that reason."""
    read_only = f"{daemon.uri}-ro"
    with (
        vms.Connection.open(daemon.root / "c", daemon.uri) as connection,
        connection.start(machine(land, "stays")),
        vms.Connection.open(daemon.root / "ro", read_only) as reading,
    ):
        box = reading.find("stays")
        for act in (box.destroy, box.suspend, box.reset, box.shutdown, box.save):
            with pytest.raises(vms.PermissionDenied, match=r"Can't .* stays: .*read-only"):
                act()
        assert connection.find("stays").state == "running"


def test_machines_survive_the_death_of_their_daemon(daemon: Daemon, land: build.Userland) -> None:
    """No machine is taken for stopped, and the files of none are removed."""
    with (
        pytest.raises(
            vms.MachineError, match=r"Can't destroy box: .*connection to libvirt was lost"
        ),
        vms.Connection.open(daemon.root / "c", daemon.uri) as connection,
    ):
        box = connection.start(machine(land, "box"))
        box.wait_for("ready", 60)
        same = connection.find("box")
        daemon.kill()
        files = [path for path in box.sockets.values() if path.exists()]
        assert files
        for act in (same.destroy, box.destroy, same.shutdown, lambda: same.is_running):
            with pytest.raises(
                vms.MachineError, match=r"connection to libvirt was lost|no libvirt answers"
            ):
                act()
        assert [path for path in box.sockets.values() if path.exists()] == files
        assert box.agent.run(["/init", "syscalls", "1"], 30).exit_code == 0
    daemon.start()
    with vms.Connection.open(daemon.root / "c", daemon.uri) as connection:
        connection.find("box").destroy()
        assert listing.machines(connection) == []


def test_a_plan_takes_the_machines_that_run(daemon: Daemon, land: build.Userland) -> None:
    """CPUs, memory and disks of each, without those that are off; the daemon's host has no disk."""
    disk = daemon.root / "planned.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "48M"], check=True)
    running = dataclasses.replace(machine(land, "runs"), vcpus=2, disks=(vms.Disk(disk),))
    with (
        vms.Connection.open(daemon.root / "c", daemon.uri) as connection,
        connection.start(running),
    ):
        connection.define(machine(land, "off"))
        try:
            found = libvirt_domains.read(daemon.uri)
        finally:
            connection.find("off").undefine()
    (service,) = found.services
    assert (service.name, service.replicas) == ("runs", 1)
    assert service.requests == {CPUS: 2.0, MEMORY_BYTES: 128.0 * 2**20}
    (host,) = found.hosts
    assert host.capacity[CPUS] == os.cpu_count()
    assert not found.broken


def test_a_reverted_machine_has_its_port_forwards(daemon: Daemon, land: build.Userland) -> None:
    def listens() -> bool:
        words = ["nsenter", "-t", str(daemon.holder.pid), "--net", "cat", "/proc/net/tcp"]
        table = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        return "0100007F:5B9B" in table  # 127.0.0.1:23451

    disk = daemon.root / "st.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "16M"], check=True)
    card = vms.UserNetwork((vms.Forward(23451, 7),))
    described = dataclasses.replace(machine(land, "back", card), disks=(vms.Disk(disk),))
    with (
        vms.Connection.open(daemon.root / "c", daemon.uri) as connection,
        connection.start(described) as box,
    ):
        assert listens()
        snapshots.create(box, "inside")
        snapshots.revert(box, "inside")
        assert listens()
        snapshots.delete(box, "inside")
        snapshots.create(box, "over", external=True)
        snapshots.revert(box, "over")
        assert listens()
        snapshots.delete(box, "over")


def test_networks_nat_and_isolated(daemon: Daemon, land: build.Userland) -> None:
    if not shutil.which("dnsmasq"):
        pytest.skip("dnsmasq is not installed: apt-get install dnsmasq-base")
    nat = networks.HostNetwork("tvnat", "tvbr0", "nat", IPv4Network("192.168.250.0/24"))
    alone = networks.HostNetwork("tvalone", "tvbr1", "isolated", IPv4Network("192.168.251.0/24"))
    with vms.Connection.open(daemon.root / "c", daemon.uri) as connection:
        with pytest.raises(vms.MachineError, match="subnet is for the modes nat and isolated"):
            networks.start(connection, networks.HostNetwork("x", "x"))
        with pytest.raises(vms.MachineError, match=r"Can't start box: .*define that network first"):
            connection.start(machine(land, "box", vms.LibvirtNetwork("nowhere")))
        networks.start(connection, nat)
        networks.start(connection, alone)
        cards = (
            vms.LibvirtNetwork("tvnat"),
            vms.LibvirtNetwork("tvalone"),
            vms.HostBridge("tvbr1"),
        )
        with connection.start(machine(land, "box", *cards)):
            links = subprocess.run(
                ["nsenter", "-t", str(daemon.holder.pid), "--net", "ip", "-j", "link"],
                capture_output=True, check=True,
            )  # fmt: skip
            masters = [each.get("master") for each in json.loads(links.stdout)]
            assert sorted(filter(None, masters)) == ["tvbr0", "tvbr1", "tvbr1"]
        for network in (nat, alone):
            networks.stop(connection, network.name)


def test_create_and_list_by_the_command_line(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    land: build.Userland,
) -> None:  # fmt: skip
    monkeypatch.setenv("TONNAGE_STATE", str(daemon.root / "st"))
    monkeypatch.setenv("LIBVIRT_DEFAULT_URI", daemon.uri)
    words = ["--kernel", str(land.kernel), "--initrd", str(land.initramfs), "--accel", "tcg"]
    assert main.main(["vm", "create", "--name", "kept", *words]) == 0
    assert main.main(["vm", "create", "--name", "kept", *words]) == exit_codes.BAD_USAGE
    assert "A machine named kept exists already" in capsys.readouterr().err
    assert main.main(["vm", "list", "--format", "json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["state"], listed["is_persistent"]) == ("kept", "shut off", True)
    # The name of an undefined or renamed machine is free, but the files in its folder are kept.
    disk = daemon.root / "st/machines/kept/disk.qcow2"
    disk.parent.mkdir(exist_ok=True)
    disk.write_text("an undefined machine's")
    assert main.main(["vm", "rename", "kept", "other"]) == 0
    assert main.main(["vm", "create", "--name", "kept", *words]) == 0
    for name in ("kept", "other"):
        assert main.main(["vm", "undefine", name]) == 0
    assert main.main(["vm", "create", "--name", "kept", *words]) == 0
    assert main.main(["vm", "undefine", "kept", "--remove-all-storage"]) == 0
    assert disk.read_text() == "an undefined machine's"
    assert [path.name for path in disk.parent.parent.iterdir()] == ["kept"]
