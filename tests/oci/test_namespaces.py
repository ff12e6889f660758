"""config-linux.md, "Namespaces", "Offset for Time Namespace" and "Network Devices"."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import mounts_of_host, namespace_of, waited_for
from tests.oci.users import FIRST_ID, IDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.oci.driver import Bundle

# The type in config.json: the option of unshare(1), and the file in /proc/PID/ns.
JOINABLE = {
    "network": ("--net", "net"), "ipc": ("--ipc", "ipc"), "uts": ("--uts", "uts"),
    "cgroup": ("--cgroup", "cgroup"),
}  # fmt: skip


@contextmanager
def holding(option: str) -> Iterator[int]:
    """Keep a process in a new namespace of this kind."""
    with subprocess.Popen(
        ["unshare", option, "sh", "-c", "echo made; exec sleep 60"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"made\n"
        yield process.pid
        process.kill()


@pytest.mark.parametrize("kind", JOINABLE)
def test_a_namespace_by_path_is_joined(bundle: Bundle, kind: str) -> None:
    """Namespaces: the container process MUST be placed in the namespace of that path."""
    option, name = JOINABLE[kind]
    with holding(option) as pid:
        bundle.namespace(kind, f"/proc/{pid}/ns/{name}")
        expected = namespace_of(pid, name)
        del bundle.config["hostname"]
        assert bundle.report()["namespaces"][name] == expected


def test_a_pid_namespace_by_path_is_joined(bundle: Bundle) -> None:
    """Namespaces: a PID namespace by path, whose first process is another container's."""
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "sh", "-c", "echo made; exec sleep 60"],
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        process.stdout.readline()
        inner = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
        bundle.namespace("pid", f"/proc/{inner}/ns/pid")
        report = bundle.report()
        assert report["namespaces"]["pid"] == namespace_of(inner, "pid")
        assert report["pid"] > 1
        os.kill(int(inner), signal.SIGKILL)


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "pid"])
def test_a_namespace_that_is_not_named_is_inherited(bundle: Bundle, kind: str) -> None:
    """Namespaces: a type that is not specified MUST be the runtime's own."""
    bundle.without_namespace(kind)
    bundle.config.pop("hostname")
    name = {"network": "net"}.get(kind, kind)
    bundle.config["mounts"] = [
        each for each in bundle.config["mounts"] if each["destination"] != "/sys"
    ]  # sysfs can't be mounted in the network namespace of another user namespace
    observed = bundle.report()["namespaces"][name]
    assert observed == namespace_of("self", name)


def without_mount_namespace(bundle: Bundle) -> None:
    """Configure masks and cgroups as usual, but use the runtime's mount namespace."""
    bundle.without_namespace("mount")
    bundle.linux["maskedPaths"] = ["/proc/kcore", "/sys/firmware"]
    bundle.linux["readonlyPaths"] = ["/proc/sys"]
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro")


def test_a_mount_namespace_that_is_not_named_is_inherited(bundle: Bundle) -> None:
    """Namespaces: inherited mounts are removed from the host when the container is deleted."""
    without_mount_namespace(bundle)
    before = mounts_of_host()
    report = bundle.report("/proc/kcore")
    assert report["namespaces"]["mnt"] == namespace_of("self", "mnt")
    assert report["namespaces"]["pid"] != namespace_of("self", "pid")
    assert mounts_of_host() == before


def test_a_failed_create_leaves_no_mount(bundle: Bundle) -> None:
    """Namespaces: a failed create leaves nothing in the runtime's mount namespace.

    The last mount fails.
    """
    without_mount_namespace(bundle)
    bundle.mount("/late", "no-file-system", "none")
    before = mounts_of_host()
    bundle.refused()
    assert mounts_of_host() == before


def test_what_the_host_shares_is_left_to_it(bundle: Bundle) -> None:
    """Namespaces: mounts inside a bound tree stay in the container; the host's tree stays whole."""
    shared = bundle.path / "shared"
    for path in (shared, shared / "sub"):
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=True)
        subprocess.run(["mount", "--make-shared", path], check=True)
    (shared / "inner").mkdir()
    without_mount_namespace(bundle)
    bundle.mount("/data", "bind", str(shared), "rbind")
    bundle.mount("/data/inner", "tmpfs", "tmpfs")
    before = mounts_of_host()
    bundle.running("mount -t tmpfs tmpfs /data/sub 2>/dev/null; echo up; exec sleep 60")
    waited_for(lambda: "up" in bundle.output(), "the container is up")
    assert not (shared / "inner").is_mount()
    assert bundle.exec(bundle.identity, "mountpoint", "-q", "/data/inner")
    assert bundle.delete("--force")
    assert mounts_of_host() == before


def test_a_cgroup_namespace_begins_at_the_containers_cgroup(bundle: Bundle) -> None:
    """Namespaces: the container has an isolated view of the cgroup hierarchy."""
    bundle.namespace("cgroup")
    assert set(bundle.report()["cgroups"].values()) == {"/"}


def test_time_offsets(bundle: Bundle) -> None:
    """Offset for Time Namespace: of the clocks, in seconds and nanoseconds."""
    bundle.namespace("time")
    bundle.linux["timeOffsets"] = {
        "boottime": {"secs": 604800}, "monotonic": {"secs": 100, "nanosecs": 5},
    }  # fmt: skip
    report = bundle.report()
    offsets = [line.split() for line in report["time_offsets"].splitlines()]
    assert sorted(offsets) == [["boottime", "604800", "0"], ["monotonic", "100", "5"]]
    assert report["boot_seconds"] > 604800


def test_a_container_shares_the_network_of_another(bundle: Bundle) -> None:
    """Namespaces: several containers in one network namespace, like a pod."""
    bundle.running()
    pid = bundle.state()["pid"]
    second = bundle.runtime.bundle()
    second.namespace("network", f"/proc/{pid}/ns/net")
    second.namespace("ipc", f"/proc/{pid}/ns/ipc")
    namespaces = second.report()["namespaces"]
    assert namespaces["net"] == namespace_of(pid, "net")
    assert namespaces["ipc"] == namespace_of(pid, "ipc")
    assert namespaces["uts"] != namespace_of(pid, "uts")


def with_user_namespace(bundle: Bundle, path: str | None = None) -> None:
    bundle.namespace("user", path)
    for kind in ("uidMappings", "gidMappings"):
        bundle.linux[kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def in_user_namespace_of(bundle: Bundle, pid: int) -> Bundle:
    """Create another container in the same user namespace, with all other namespaces its own."""
    with_user_namespace(bundle, f"/proc/{pid}/ns/user")
    bundle.namespace("cgroup")
    return bundle


def test_what_is_new_belongs_to_the_user_namespace_that_is_joined(
    bundle: Bundle, another: Callable[[], Bundle]
) -> None:
    """Namespaces: a user namespace by path with new namespaces of every other type, like a pod.

    The new namespaces belong to it, so proc and sysfs can be mounted, and the host name set.
    """
    with_user_namespace(bundle)
    bundle.running()
    pid = bundle.state()["pid"]
    second = in_user_namespace_of(another(), pid)
    report = second.report()
    assert report["pid"] == 1
    assert report["namespaces"]["user"] == namespace_of(pid, "user")
    for name in ("pid", "mnt", "net", "uts", "ipc", "cgroup"):
        assert report["namespaces"][name] not in {
            namespace_of(pid, name),
            namespace_of("self", name),
        }

    third = in_user_namespace_of(another(), pid)
    third.running("sleep 60; exit 3")
    result = third.exec(
        third.identity, "sh", "-c", "id -u; cat /proc/1/cmdline | tr '\\0' ' '; exit 7"
    )
    assert (result.exit_code, result.stdout) == (7, "0\n/bin/sh -c sleep 60; exit 3 ")
    assert third.delete("--force")
    assert not third.state()


def test_a_container_shares_all_of_another_with_a_user_namespace(
    bundle: Bundle, another: Callable[[], Bundle]
) -> None:
    """Namespaces: user, pid and network namespace by path, like a pod that shares them."""
    with_user_namespace(bundle)
    bundle.running()
    pid = bundle.state()["pid"]
    second = in_user_namespace_of(another(), pid)
    second.namespace("pid", f"/proc/{pid}/ns/pid")
    second.namespace("network", f"/proc/{pid}/ns/net")
    report = second.report()
    assert report["pid"] > 1
    for name in ("user", "pid", "net"):
        assert report["namespaces"][name] == namespace_of(pid, name)


# Network devices.


@pytest.fixture
def device() -> Iterator[str]:
    """Make a network device on the host, with an address; it is removed with its namespace."""
    name = f"tn{os.getpid()}"
    subprocess.run(
        ["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p"], check=True
    )
    subprocess.run(["ip", "link", "set", name, "mtu", "1400"], check=True)
    subprocess.run(["ip", "address", "add", "192.0.2.7/24", "dev", name], check=True)
    yield name
    subprocess.run(["ip", "link", "delete", f"{name}p"], check=False, capture_output=True)


def inside(bundle: Bundle, *words: str) -> str:
    """Return the output of the host's ip(8) in the container's network namespace."""
    pid = bundle.state()["pid"]
    return subprocess.run(
        ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", *words],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def test_a_network_device_is_moved_and_up(bundle: Bundle, device: str) -> None:
    """Network Devices: MUST be available in the container, up, and with its attributes.

    Permanent addresses with global scope MUST be preserved; attributes such as the MTU too.
    """
    bundle.linux["netDevices"] = {device: {}}
    bundle.running()
    link = inside(bundle, "-brief", "link", "show", device)
    assert "UP" in link.partition("<")[2]
    assert "192.0.2.7/24" in inside(bundle, "-brief", "address", "show", device)
    assert "mtu 1400" in inside(bundle, "link", "show", device)
    assert not Path(f"/sys/class/net/{device}").exists()


def test_a_network_device_is_renamed(bundle: Bundle, device: str) -> None:
    """Network Devices: `name` is its name inside."""
    bundle.linux["netDevices"] = {device: {"name": "renamed0"}}
    bundle.running()
    assert "192.0.2.7/24" in inside(bundle, "-brief", "address", "show", "renamed0")


def test_a_network_device_is_named_by_a_template(bundle: Bundle, device: str) -> None:
    """Network Devices: with %d in the name the kernel chooses a free name."""
    bundle.linux["netDevices"] = {device: {"name": "eth%d"}}
    bundle.running()
    assert "192.0.2.7/24" in inside(bundle, "-brief", "address", "show", "eth0")


def test_a_name_that_is_taken_inside_is_an_error(bundle: Bundle, device: str) -> None:
    """Network Devices: a name that exists inside MUST be an error; the device stays outside."""
    bundle.linux["netDevices"] = {device: {"name": "lo"}}
    assert "Traceback" not in bundle.refused()
    waited_for(Path(f"/sys/class/net/{device}").exists, "the device is the host's again")


@pytest.mark.parametrize(
    ("inside_name", "key"),
    [("lan0", "net.ipv4.conf.lan0.rp_filter"), ("lan0.7", "net.ipv4.conf.lan0/7.rp_filter"),
     ("lan0.7", "net/ipv4/conf/lan0.7/rp_filter")],
)  # fmt: skip
@pytest.mark.parametrize("waits", [True, False])
def test_a_sysctl_of_a_network_device(
    bundle: Bundle, device: str, inside_name: str, key: str, *, waits: bool
) -> None:
    """Sysctl: of a device that was moved in; the first separator decides what the others mean."""
    bundle.linux["netDevices"] = {device: {"name": inside_name}}
    bundle.linux["sysctl"] = {key: "2"}
    bundle.shell(f"cat /proc/sys/net/ipv4/conf/{inside_name}/rp_filter")
    if waits:
        bundle.created()
        assert bundle.start()
        bundle.wait("stopped")
    else:
        result = bundle.run()
        assert result, result.stderr
    assert bundle.output() == "2\n"


def test_a_sysctl_of_a_network_device_that_a_hook_brings(bundle: Bundle, device: str) -> None:
    """Sysctl: engines bring devices by hooks."""
    moves = "import json, os, sys; pid = json.load(sys.stdin)['pid']; "
    moves += f"os.execlp('ip', 'ip', 'link', 'set', {device!r}, 'netns', str(pid))"
    bundle.config["hooks"] = {"createRuntime": [
        {"path": "/usr/bin/python3", "args": ["python3", "-ISc", moves],
         "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
    ]}  # fmt: skip
    bundle.linux["sysctl"] = {f"net.ipv4.conf.{device}.rp_filter": "2"}
    bundle.shell(f"cat /proc/sys/net/ipv4/conf/{device}/rp_filter")
    result = bundle.run()
    assert result.stdout == "2\n", result.stderr


@pytest.mark.parametrize(
    ("key", "value"),
    [("user.max_net_namespaces", "7"), ("kernel.domainname", "example.com"),
     ("kernel.sem", "250\t32000\t100\t2048"), ("fs.mqueue.queues_max", "99"),
     ("net.ipv4.ping_group_range", "0\t1000")],
)  # fmt: skip
def test_a_sysctl_in_a_user_namespace(bundle: Bundle, key: str, value: str) -> None:
    """Sysctl: settings for root of the namespace, and those that need the host's root."""
    os.chown(bundle.rootfs, FIRST_ID, FIRST_ID)
    bundle.namespace("user")
    mapping = [{"containerID": 0, "hostID": FIRST_ID, "size": IDS}]
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = mapping
    path = Path("/proc/sys", key.replace(".", "/"))
    before = path.read_text()
    bundle.linux["sysctl"] = {key: value}
    bundle.shell(f"cat {path}")
    result = bundle.run()
    assert result.stdout.strip() == value, result.stderr
    assert path.read_text() == before
