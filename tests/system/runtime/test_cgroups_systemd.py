"""Scopes of a real systemd on version 2: the host's, or one booted from the user land.

A program beside the booted one sees the host's files with that systemd's /run and cgroups, like the
runtime on a host that was booted with systemd.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.userland import root_tree
from runtime import ContainerError, cgroups
from runtime.cgroups import systemd
from runtime.cgroups.hierarchies import Host, this_host

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        this_host().unified is None, reason="cgroup version 2 isn't mounted on this host"
    ),
]
SECONDS = 30.0
ON_SYSTEMD = systemd.is_running() and this_host().is_v2
BOOT = """
set -e
tree=$1 scratch=$2 root=$2/root
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$root"
mount -t overlay overlay -o "lowerdir=$tree,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mount --rbind / "$root/mnt"
mount --rbind "$root/proc" "$root/mnt/proc"
mount --rbind "$root/run" "$root/mnt/run"
mount --rbind "$root/sys" "$root/mnt/sys"
exec chroot "$root" /usr/bin/env -i container=tonnage /lib/systemd/systemd --unit=basic.target
"""
CREATE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from runtime import ContainerError, cgroups
from runtime.cgroups import systemd, systemd_properties
from runtime.spec.config import Cpu, DeviceRule, HugepageLimit, Memory, Pids, Resources
from tests.runtime.cgroups import joined

def refusal(call):
    try:
        call()
    except ContainerError as error:
        return str(error)

cgroup = cgroups.create("tonnage.slice:box:1", "1", manager="systemd")
report = {"paths": cgroup.paths}
cgroup.limit(Resources(hugepage_limits=(HugepageLimit(page_size="2MB", limit=2 << 20),)))
with systemd._connected() as connection:
    known = Resources(
        memory=Memory(limit=64 << 20, swap=96 << 20, reservation=1 << 20),
        cpu=Cpu(shares=512, quota=50_000, cpus="0"),
        pids=Pids(limit=7),
    )
    connection.call(
        *systemd._MANAGER, "SetUnitProperties", "sba(sv)", "box-1.scope", True,
        systemd_properties.properties(known, is_v2=True),
    )
    (path,) = connection.call(*systemd._MANAGER, "LoadUnit", "s", "box-1.scope")
    for name in ("MemoryMax", "MemorySwapMax", "CPUWeight", "CPUQuotaPerSecUSec", "TasksMax",
                 "AllowedCPUs", "Delegate", "Slice"):
        (report[name],) = connection.call(
            path, "org.freedesktop.DBus.Properties", "Get", "ss",
            "org.freedesktop.systemd1.Scope", name,
        )
    report["second"] = refusal(
        lambda: cgroups.create("tonnage.slice:box:1", "1", manager="systemd")
    )
    pid = joined.start(cgroup, ["sleep", "60"], os.open(os.devnull, os.O_WRONLY))
    cgroup.close()
    again = cgroups.reopen(cgroup.paths)
    report["inside"] = again.processes() == [pid]
    again.update(Resources(devices=(DeviceRule(allow=True, access="rwm"),)))
    again.kill()
    os.waitpid(pid, 0)
    again.remove()
    report["exists"] = again.exists()
print(json.dumps(report))
"""


@pytest.fixture
def booted(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Boot a systemd in namespaces; yield its pid, and its cgroup in the host's tree."""
    assert this_host().unified is not None
    name = f"tonnage-sd-{os.getpid()}"
    cgroup = cgroups.create(f"/{name}", "1", host=Host({}, this_host().unified))
    directory = Path(cgroup.paths[""])
    tree = root_tree.build_tree(lambda _: None)
    with subprocess.Popen(
        ["unshare", "-mpuiCf", "--kill-child", "sh", "-c", BOOT, "boot", tree, tmp_path],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=lambda: (directory / "cgroup.procs").write_text("0"),  # noqa: PLW1509
    ) as process:  # fmt: skip
        try:
            pid = wait_for_systemd(process)
            # A cgroup with processes of its own can't have sub-cgroups with controllers.
            (directory.parent / "cgroup.procs").write_text(str(process.pid))
            yield pid, directory
        finally:
            process.kill()
            process.wait()
            cgroup.kill()
            cgroup.remove()


def wait_for_systemd(process: subprocess.Popen[bytes]) -> int:
    """Return the pid of the namespace's first process, once it has its private socket."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children and has_socket(Path("/proc", children[0], "root")):
            return int(children[0])
        time.sleep(0.05)
    raise AssertionError("the user land's systemd did not come up")


def has_socket(root: Path) -> bool:
    """Return True if systemd listens in its own root; before that, the host's may."""
    return (root / "run/systemd/private").exists() and not root.samefile("/")


def made_limited_joined_and_removed(*entering: str, beside: Path | None = None) -> None:
    """Make, limit, join and remove a scope, with a command after these words.

    The command starts in the cgroup `beside`: if the tree is mounted with nsdelegate, systemd may
    not move processes into it from outside.
    """
    result = subprocess.run(
        [*entering, sys.executable, "-c", CREATE, Path(__file__).parents[3]],
        check=False, capture_output=True, text=True, timeout=SECONDS,
        preexec_fn=(lambda: (beside / "cgroup.procs").write_text("0")) if beside else None,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["paths"] == {"": "/sys/fs/cgroup/tonnage.slice/box-1.scope"}
    assert (report["MemoryMax"], report["MemorySwapMax"]) == (64 << 20, 32 << 20)
    assert (report["CPUWeight"], report["CPUQuotaPerSecUSec"]) == (59, 500_000)
    assert report["AllowedCPUs"][0] == 1
    assert report["TasksMax"] == 7
    assert report["Delegate"] == 1
    assert report["Slice"] == "tonnage.slice"
    assert report["second"].startswith(
        "Can't start the scope box-1.scope: systemd: Unit box-1.scope"
    )
    assert report["inside"]
    assert not report["exists"]


@pytest.mark.skipif(ON_SYSTEMD, reason="the host's own systemd is used instead")
def test_a_scope_is_made_limited_joined_and_removed(booted: tuple[int, Path]) -> None:
    pid, directory = booted
    (beside := directory / "beside").mkdir()
    made_limited_joined_and_removed(
        "nsenter", "-t", str(pid), "-p", "-m", "-C", f"--root=/proc/{pid}/root/mnt", beside=beside
    )
    assert not (directory / "tonnage.slice" / "box-1.scope").exists()


@pytest.mark.skipif(not ON_SYSTEMD, reason="needs systemd on cgroup version 2")
def test_the_systemd_of_the_host_does_the_same() -> None:
    try:
        made_limited_joined_and_removed()
    finally:
        subprocess.run(["systemctl", "stop", "tonnage.slice"], check=True)


@pytest.mark.skipif(systemd.is_running(), reason="systemd is running here")
def test_without_systemd_its_manager_is_refused() -> None:
    with pytest.raises(ContainerError, match="needs systemd, which is not running here"):
        cgroups.create("system.slice:docker:1", "1", manager="systemd")
