"""Machines of another host: operations on them leave files of the same paths on this host alone.

The other host is a libvirtd in a mount namespace with terminals of its own, reached by a command as
it would be by ssh. The directory HERE exists on both hosts, with different files.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tty
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vms
from lab.cli import parser as cli_parser
from lab.userland import build
from tests.system.vms.reaper import REAPER
from vms.guest import file_copy

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        not shutil.which("libvirtd"),
        reason="libvirtd is not installed: apt-get install libvirt-daemon",
    ),
]
DAEMON = (
    "import sys\n"
    "from pathlib import Path\n"
    "from vms.connection import daemon\n"
    "with daemon.running(Path(sys.argv[1])) as uri:\n"
    "    print(uri, flush=True)\n"
    "    sys.stdin.read()\n"
)
OTHER_HOST = (
    "mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts"
    " && mount --bind /dev/pts/ptmx /dev/ptmx"
    " && mount -t tmpfs run /run && mkdir /run/lock"
    " && mount --bind {far} {here}"
    " && exec {python} -c '{reaper}' {python} -c '{daemon}' {root}"
)
# The command that ssh would run there: it connects its input and output to the daemon's socket.
REACH = """\
#!{python}
import os, select, socket
line = socket.socket(socket.AF_UNIX)
line.connect("{socket}")
while True:
    ready, _, _ = select.select([line, 0], [], [])
    if 0 in ready:
        data = os.read(0, 65536)
        if not data:
            break
        line.sendall(data)
    if line in ready:
        data = line.recv(65536)
        if not data:
            break
        while data:
            data = data[os.write(1, data):]
"""
SECONDS = 60.0


@dataclass(frozen=True)
class OtherHost:
    """A host with the directory `far` at the path that is `here` on this host."""

    uri: str
    here: Path
    far: Path


@pytest.fixture(scope="module")
def other() -> Iterator[OtherHost]:
    with tempfile.TemporaryDirectory(prefix="tonnage-", dir="/tmp") as path:
        root, here, far = (Path(path) / name for name in ("l", "d", "far"))
        here.mkdir()
        far.mkdir()
        script = OTHER_HOST.format(
            far=far, here=here, python=sys.executable, reaper=REAPER, daemon=DAEMON, root=root
        )
        unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
        with subprocess.Popen(
            unshare, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as daemon:
            assert daemon.stdout is not None
            uri = daemon.stdout.readline().strip()
            reach = Path(path) / "reach"
            reach.write_text(REACH.format(python=sys.executable, socket=uri.partition("=")[2]))
            reach.chmod(0o755)
            try:
                yield OtherHost(f"qemu+ext://other/system?command={reach}", here, far)
            finally:
                assert daemon.stdin is not None
                daemon.stdin.close()
                daemon.wait(30)


@pytest.fixture
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tonnage-", dir="/tmp") as path:
        yield Path(path)


def image(path: Path, fill: int) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "16M"], check=True)
    write = ["qemu-io", "-f", "qcow2", "-c", f"write -P {fill} 0 1M", str(path)]
    subprocess.run(write, check=True, stdout=subprocess.DEVNULL)


def files(directory: Path) -> dict[str, tuple[str, int, int, int, int]]:
    """Return content, inode, mode, size and time of all files, which show any change."""
    states = {}
    for path in sorted(directory.rglob("*")):
        status = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        name = str(path.relative_to(directory))
        states[name] = (digest, status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns)
    return states


def described(land: build.Userland, name: str, *disks: Path) -> vms.Machine:
    return vms.Machine(
        name=name,
        vcpus=1,
        memory_mib=128,
        accelerator=vms.Accelerator.TCG,
        chipset="q35",
        boot=vms.DirectKernel(land.kernel, land.initramfs, "console=ttyS0 quiet panic=-1"),
        disks=tuple(vms.Disk(disk) for disk in disks),
        channels=("tonnage.events", "tonnage.agent"),
        balloon=vms.Balloon(),
        video="vga",
        on_reboot="restart",
    )


def test_a_machine_is_started_and_used_through_libvirt_alone(
    other: OtherHost, land: build.Userland, sockets: Path, tmp_path: Path
) -> None:
    """Lines are read, commands run and files copied through libvirt's streams."""
    with vms.Connection.open(sockets, other.uri) as connection:
        assert not connection.is_local
        with connection.start(described(land, "streamed")) as box:
            box.wait_for("first-instruction", SECONDS)
            box.wait_for("ready", SECONDS)
            assert box.agent.run(["/init", "syscalls", "1"], 30).exit_code == 0
            sent, received = tmp_path / "sent", tmp_path / "received"
            sent.write_bytes(os.urandom(3_000_000))
            file_copy.copy_in(box.inside, sent, "/tmp-file")
            file_copy.copy_out(box.inside, "/tmp-file", received)
            assert received.read_bytes() == sent.read_bytes()
        assert [each.name for each in connection.domains()] == []


def test_a_stream_ends_with_its_machine(
    other: OtherHost, land: build.Userland, sockets: Path
) -> None:
    with (
        vms.Connection.open(sockets, other.uri) as connection,
        connection.start(described(land, "short")) as box,
    ):
        box.wait_for("ready", SECONDS)
        console = box.console
        connection.handle.lookupByName("short").destroy()
        with pytest.raises(vms.BootTimeout, match="the machine ended"):
            console.wait_for("never", time.monotonic_ns() + 30 * 10**9)
        with pytest.raises(vms.MachineError, match=r"ended while|Can't open"):
            box.agent.run(["true"], 30)


# A verb, its arguments, and the expected refusal; "" if the verb succeeds. HERE is a directory
# that both hosts have, with different files.
ELSEWHERE = r"leads to another host"
WHOLE = r"give its absolute path there"
WALK: tuple[tuple[str, str, str], ...] = (
    ("create", "one --name x --accel tcg", ELSEWHERE),
    ("create", "--name x --accel tcg --kernel HERE/k --ssh-key HERE/key", ELSEWHERE),
    ("create", "--name x --accel tcg --kernel HERE/k --user-data HERE/key", ELSEWHERE),
    ("create", "--name x --kernel HERE/k", "pass --accel kvm or --accel tcg"),
    ("create", "--name x --accel tcg --kernel k", WHOLE),
    ("create", "--name x --accel tcg --kernel HERE/k --disk d.qcow2", WHOLE),
    ("create", "--name x --accel tcg --kernel HERE/k --volume src:tag", WHOLE),
    ("create", "--name x --accel tcg --cdrom a.iso", WHOLE),
    ("create", "--name x --accel tcg --memory 64M --kernel KERNEL --disk HERE/a.qcow2", ""),
    ("list", "", ""),
    ("start", "x", ""),
    ("destroy", "x", ""),
    ("snapshot-create", "x s --external", ""),
    ("snapshot-list", "x", ""),
    ("snapshot-revert", "x s", ELSEWHERE),
    ("snapshot-delete", "x s", ELSEWHERE),
    ("attach-interface", "x", ""),
    ("change-media", "x HERE/b.qcow2", "no CD-ROM drive"),
    ("dumpxml", "x", ""),
    ("define", "MINE", "XML"),
    ("edit", "x", "failed with exit code 1"),
    ("snapshot-delete", "x s --metadata", ""),
    ("undefine", "x --remove-all-storage", ELSEWHERE),
    ("undefine", "x", ""),
    ("snapshot-create", "far inner", ""),
    ("clone", "far twin", ELSEWHERE),
    ("rename", "far near", ""),
    ("rename", "near far", ""),
    ("autostart", "far", ""),
    ("autostart", "far --disable", ""),
    ("start", "far", ""),
    ("stats", "", ""),
    ("exec", "far -- /init syscalls 1", ""),
    ("cp", "MINE far:/file", ""),
    ("cp", "far:/file MINE.back", ""),
    ("screenshot", "far MINE.png", ""),
    ("console", "far", ""),
    ("domifaddr", "far", "No address of far is known"),
    ("ssh", "far", "Port 22 of far can.t be reached from this host"),
    ("attach-disk", "far b.qcow2", WHOLE),
    ("attach-disk", "far HERE/b.qcow2", ""),
    ("blockresize", "far vda 32", ""),
    ("suspend", "far", ""),
    ("resume", "far", ""),
    ("setmem", "far 96", ""),
    ("setvcpus", "far 1", ""),
    ("reboot", "far", ""),
    ("reset", "far", ""),
    ("detach-disk", "far none", "has no disk none"),
    ("detach-memory", "far dimm0", "has no memory module"),
    ("attach-memory", "far 128", "no slots for memory"),
    ("detach-interface", "far 52:54:00:00:00:00", "has no interface"),
    ("migrate", "far URI", "name the address of its QEMU with --to"),
    ("save", "far memory", WHOLE),
    ("save", "far HERE/memory", ""),
    ("restore", "memory", WHOLE),
    ("restore", "HERE/memory", ""),
    ("snapshot-revert", "far inner", ""),
    ("snapshot-delete", "far inner", ""),
    ("start", "far", ""),
    ("shutdown", "far --timeout 1", ""),
    ("undefine", "far", ""),
)
# Verbs without a connection, or that only read.
NOT_WALKED = {"build", "image", "images", "run", "events", "domifaddr", "ssh"}


def verbs() -> set[str]:
    def choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
        (named,) = (each.choices for each in parser._actions if isinstance(each.choices, dict))
        return dict(named)

    return set(choices(choices(cli_parser.build())["vm"]))


@pytest.fixture
def terminals() -> Iterator[list[int]]:
    """Terminals of this host whose numbers the other host uses too; each has a secret to read."""
    pairs = [os.openpty() for _ in range(8)]
    for ours, theirs in pairs:
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        os.write(ours, b"SECRET\n")
    yield [ours for ours, _ in pairs]
    for pair in pairs:
        for descriptor in pair:
            os.close(descriptor)


@pytest.mark.usefixtures("embedded")
def test_no_verb_touches_a_file_of_this_host(
    other: OtherHost, land: build.Userland, sockets: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, terminals: list[int],
) -> None:  # fmt: skip
    monkeypatch.setenv("TONNAGE_STATE", str(sockets / "st"))
    monkeypatch.setenv("EDITOR", "false")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # where `edit` keeps the text
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").write_bytes(b"mine")
    for number, name in enumerate(("a.qcow2", "b.qcow2", "far.qcow2"), start=1):
        image(other.far / name, number)
        image(other.here / name, 10 + number)
    for name in ("k", "key", "memory", "a.s"):
        (other.here / name).write_text("this host's")
    with vms.Connection.open(sockets, other.uri) as connection:
        connection.define(described(land, "far", other.here / "far.qcow2"))
    assert verbs() <= {verb for verb, _, _ in WALK} | NOT_WALKED
    before = files(other.here)
    for verb, words, refused in WALK:
        code, output = tonnage(other, land, tmp_path, ["vm", verb, *words.split()])
        assert (code == 0) == (not refused), (verb, words, output)
        assert re.search(refused, output), (verb, words, output)
        assert files(other.here) == before, (verb, words)
    assert (tmp_path / "mine.back").read_bytes() == b"mine"
    assert (tmp_path / "mine.png").read_bytes().startswith(b"\x89PNG")
    for terminal in terminals:
        with contextlib.suppress(BlockingIOError):
            assert os.read(terminal, 1000) == b"", "something was typed into it"


def tonnage(
    other: OtherHost, land: build.Userland, mine: Path, words: list[str]
) -> tuple[int, str]:
    """Run a command in a process of its own; return its exit code and output."""
    placeholders = {
        "HERE": str(other.here), "KERNEL": str(land.kernel), "MINE": str(mine / "mine"),
        "URI": other.uri,
    }  # fmt: skip
    for name, value in placeholders.items():
        words = [word.replace(name, value) for word in words]
    at = words.index("--") if "--" in words else len(words)
    argv = [*words[:at], "--connect", other.uri, *words[at:]]
    command = [sys.executable, "-c", "from lab.cli.main import main; import sys; sys.exit(main())"]
    typed = b"typed\x1d" if "console" in words else b""
    completed = subprocess.run(
        [*command, *argv], input=typed, capture_output=True, timeout=90, check=False
    )
    output = completed.stdout + completed.stderr
    return completed.returncode, output.decode(errors="replace")
