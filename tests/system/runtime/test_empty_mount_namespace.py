"""Roots that are moved into an empty mount namespace: their view of the host, and their reach."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import runtime
from runtime import Container
from runtime.linux import clone
from runtime.process.plan import StartRequest
from runtime.rootfs import empty_mount_namespace
from runtime.rootfs import root as rootfs
from runtime.spec.config import Capabilities, Hook, Hooks, IdMapping, Mount, Namespace
from tests.host_mounts import mounts_of_host
from tests.system.runtime.containers import SECONDS, run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root
ADMIN = "CAP_SYS_ADMIN"
# Try to leave the root by CAP_SYS_CHROOT: change it to a directory below, and climb from there.
CLIMB = """
import os
os.mkdir("/tmp/below")
os.chroot("/tmp/below")
for _ in range(64):
    os.chdir("..")
os.chroot(".")
print(*sorted(os.listdir("/")))
"""
# Unmount the own root by CAP_SYS_ADMIN, and list what was beneath.
BENEATH = """
import ctypes, os
call = ctypes.CDLL(None, use_errno=True).syscall
own = os.open("/proc/self/ns/mnt", os.O_RDONLY)
print(call(166, b"/", 2), call(308, own, 0x20000), os.listdir("/"), oct(os.stat("/").st_mode))
"""


@pytest.fixture
def root(tmp_path: Path, kept: int) -> Iterator[Path]:
    """Return a root directory for containers, and check that the kept namespace stays empty."""
    mounts = mounts_of_host(str(tmp_path))
    yield tmp_path / "c"
    assert not list((tmp_path / "c").glob("*"))
    assert mounts_of_host(str(tmp_path)) == mounts
    assert listed(kept) == []


def listed(namespace: int) -> list[str]:
    """Return the files in the root of a mount namespace."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        try:
            clone.setns(namespace, clone.NEWNS)
            os.write(writing, "\n".join(os.listdir("/")).encode())  # noqa: PTH208
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        names = pipe.read().split()
    os.waitpid(pid, 0)
    return names


def test_the_first_container_of_a_process_makes_no_namespace() -> None:
    script = (
        "from runtime.rootfs.empty_mount_namespace import descriptor;"
        " print(descriptor(), descriptor() is not None)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert result.stdout == "None True\n"


def test_no_mount_of_the_host_is_in_it(tree: Path, root: Path) -> None:
    output = run(tree, root, "cat /proc/self/mountinfo; readlink /proc/self/root /proc/self/cwd")
    *mounted, own_root, cwd = output.text.splitlines()
    assert (own_root, cwd) == ("/", "/")
    parents = {line.split()[0]: line.split()[1] for line in mounted}
    # The parent of its root alone is out of its sight.
    assert [each for each, parent in parents.items() if parent not in parents] == [
        next(iter(parents))
    ]
    assert mounted[0].split()[4] == "/"
    kinds = {line.partition(" - ")[2].split()[0] for line in mounted}
    allowed = {"overlay", "proc", "tmpfs", "devpts", "mqueue", "sysfs", "cgroup", "cgroup2"}
    assert kinds <= {*allowed, "devtmpfs"}  # the /dev/null of masked files


def test_no_descriptor_leads_to_it(tree: Path, root: Path) -> None:
    output = run(tree, root, "for each in /proc/self/fd/*; do readlink $each; done")
    assert "mnt:" not in output.text


def test_a_process_that_climbs_stays_inside(tree: Path, root: Path) -> None:
    output = run(tree, root, f"python3 -c '{CLIMB}'; ls -d /*")
    climbed, *own = output.text.splitlines()
    assert climbed.split() == sorted(each.removeprefix("/") for each in own)


def test_beneath_the_root_there_is_no_file(tree: Path, root: Path) -> None:
    spec = runtime.default_spec(["python3", "-c", BENEATH])
    assert spec.process
    assert spec.process.capabilities
    capabilities = (*spec.process.capabilities.bounding, ADMIN, "CAP_SYS_CHROOT")
    process = spec.process.replace(
        capabilities=Capabilities(
            bounding=capabilities, effective=capabilities, permitted=capabilities
        )
    )
    output = run(tree, root, "", process=process, linux=spec.linux.replace(seccomp=None))
    assert output.text == "0 0 [] 0o40000\n"


def test_a_process_that_enters_it_is_in_the_containers_root(
    tree: Path, root: Path, kept: int
) -> None:
    spec = runtime.default_spec(["sleep", "60"])
    with Container.run("box", spec, [tree], root=root) as container:
        command = ["nsenter", "--mount", "--target", str(container.pid), "cat", "/proc/1/comm"]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        assert result.stdout == "sleep\n"
        theirs, ours = (
            Path(f"/proc/{pid}/ns/mnt").stat().st_ino for pid in (container.pid, "self")
        )
        assert len({theirs, ours, os.fstat(kept).st_ino}) == 3


def test_a_later_mount_of_the_host_in_a_volume_is_seen(
    tree: Path, root: Path, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "volume", volume], check=True)
    try:
        subprocess.run(["mount", "--make-shared", volume], check=True)
        bind = Mount(
            destination="/volume", source=str(volume), type="bind", options=("rbind", "rslave")
        )
        spec = runtime.default_spec(["sleep", "60"])
        spec = spec.replace(mounts=(*spec.mounts, bind))
        with Container.run("box", spec, [tree], root=root) as container:
            (volume / "later").mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "later", volume / "later"], check=True)
            (volume / "later/seen").touch()
            assert Path(f"/proc/{container.pid}/root/volume/later/seen").exists()
            inside = Path(f"/proc/{container.pid}/mountinfo").read_text()
            assert " /volume/later " in inside
    finally:
        subprocess.run(["umount", "-R", volume], check=True)


def test_mounts_that_cannot_be_copied_are_made(tree: Path, root: Path) -> None:
    unbindable = Mount(destination="/alone", source="alone", type="tmpfs", options=("unbindable",))
    spec = runtime.default_spec([])
    output = run(
        tree, root, "grep ' /alone ' /proc/self/mountinfo", mounts=(*spec.mounts, unbindable)
    )
    assert "unbindable" in output.text


def test_mounts_of_a_hook_that_cannot_be_copied_are_there(tree: Path, root: Path) -> None:
    find = """cd "$(sed 's,.*"bundle":"\\([^"]*\\)".*,\\1,')"/root/mnt"""
    script = f"{find} && mount -t tmpfs hooked . && mount --make-unbindable ."
    hook = Hook(path="/bin/sh", args=("sh", "-c", script))
    output = run(
        tree, root, "grep ' /mnt ' /proc/self/mountinfo", hooks=Hooks(create_container=(hook,))
    )
    assert "hooked" in output.text


def test_a_terminal_has_a_name(tree: Path, root: Path) -> None:
    spec = runtime.default_spec(["sh", "-c", "tty; readlink /proc/self/fd/0"])
    assert spec.process
    spec = spec.replace(process=spec.process.replace(terminal=True))
    ours, theirs = socket.socketpair()
    upper, work, mounted = (str(root.parent / name) for name in ("upper", "work", "mounted"))
    for path in (upper, work, mounted):
        os.mkdir(path)  # noqa: PTH102
    request = StartRequest(
        identifier="box",
        spec=spec,
        root=rootfs.Overlay(mounted, [str(tree)], upper, work),
        bundle=str(root.parent),
        console=theirs.fileno(),
    )
    with ours, theirs, Container.create(request, str(root)) as container:
        _, descriptors, _, _ = socket.recv_fds(ours, 4096, 1)
        with os.fdopen(descriptors[0], "rb", buffering=0) as master:
            text = b""
            while text.count(b"\n") < 2:
                text += master.read(4096) or b""
        assert container.wait(SECONDS) == 0
    assert text.split() == [b"/dev/pts/0", b"/dev/pts/0"]


def test_a_container_with_a_user_namespace_pivots(tree: Path, root: Path) -> None:
    spec = runtime.default_spec([])
    spaces = (*spec.linux.namespaces, Namespace(type="user"))
    mappings = IdMapping(container_id=0, host_id=0, size=65536)
    linux = spec.linux.replace(
        namespaces=spaces, uid_mappings=(mappings,), gid_mappings=(mappings,)
    )
    output = run(tree, root, "cat /proc/self/uid_map; ls -d /proc/1", linux=linux)
    assert output.text.split() == ["0", "0", "65536", "/proc/1"]


@pytest.mark.parametrize("reused", [False, True])
def test_a_program_that_closes_all_descriptors_can_start_containers(
    reused: bool, tree: Path, root: Path, kept: int
) -> None:
    os.close(kept)
    others = [os.open("/dev/null", os.O_RDONLY) for _ in range(64 * reused)]
    assert run(tree, root, "echo here").text == "here\n"
    for each in others:
        os.close(each)
    now = empty_mount_namespace.descriptor()
    assert now
    assert listed(now) == []
