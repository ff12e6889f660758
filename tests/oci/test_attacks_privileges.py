"""Attacks by capabilities, groups, cgroups and setuid programs for more privileges.

Attacks that succeed do no harm: they write what is already there, or to a file made for them.
docs/security.md explains the defence against each.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from runtime.spec import docker_profile
from tests.oci.driver import Bundle, Result, waited_for

if TYPE_CHECKING:
    from collections.abc import Callable

from tests.oci.attacks import attack
from tests.oci.users import NOBODY, runtime_of_user

# CVE-2022-29162, CVE-2022-24769: inheritable capabilities.


def test_capabilities_are_not_inheritable(bundle: Bundle) -> None:
    """CVE-2022-29162, CVE-2022-24769: neither configured capabilities nor those of exec --cap."""
    bundle.running("grep -E 'Cap(Inh|Amb)' /proc/self/status; exec sleep 60")
    none = ["CapInh:", "0" * 16, "CapAmb:", "0" * 16]
    waited_for(lambda: len(bundle.output().split()) == 4, "the sets are told")
    assert bundle.output().split() == none
    result = bundle.exec(
        "--cap", "CAP_NET_ADMIN", bundle.identity, "grep", "-E", "Cap(Inh|Amb)", "/proc/self/status"
    )
    assert result, result.stderr
    assert result.stdout.split() == none


# CVE-2018-7169: groups in user namespaces.


def as_nobody(bundle: Bundle, *words: str) -> Result:
    """Run the runtime as a user without privileges who is in one more group."""
    bundle.write()
    user = runtime_of_user(bundle.runtime, ids=False)
    return user.tell(*words, "--bundle", str(bundle.path), bundle.identity)


def rootless(bundle: Bundle) -> None:
    """Map root inside to an unprivileged user outside, and map no other ids."""
    bundle.namespace("user")
    for kind in ("uidMappings", "gidMappings"):
        bundle.linux[kind] = [{"containerID": 0, "hostID": NOBODY, "size": 1}]
    bundle.linux.pop("cgroupsPath", None)
    for mount in bundle.config["mounts"]:
        mount["options"] = [word for word in mount.get("options", ()) if word != "gid=5"]


def test_a_group_that_takes_away_is_not_left(bundle: Bundle) -> None:
    """CVE-2018-7169: without privileges, groups of a new user namespace can't be dropped."""
    rootless(bundle)
    attack(bundle, "drop_groups")
    result = as_nobody(bundle, "run")
    assert result, result.stderr
    assert result.stdout.split("\n")[:2] == ["setgroups deny", "refused EPERM"]


def test_groups_that_are_not_mapped_are_refused(bundle: Bundle) -> None:
    """CVE-2018-7169: additionalGids where setgroups is denied."""
    rootless(bundle)
    bundle.process["user"]["additionalGids"] = [7]
    bundle.shell("id -G")
    result = as_nobody(bundle, "run")
    assert not result, result.stdout


# CVE-2023-25809, CVE-2022-0492: cgroups.


@pytest.mark.parametrize("namespace", [True, False], ids=["own namespace", "host's namespace"])
def test_cgroups_that_are_read_only_are_all_so(bundle: Bundle, namespace: bool) -> None:
    """CVE-2023-25809: all cgroup hierarchies that a container sees."""
    if namespace:
        bundle.namespace("cgroup")
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev")
    attack(bundle, "cgroups")
    result = bundle.run()
    assert result, result.stderr
    assert "refused" in result.stdout
    assert "WRITABLE" not in result.stdout


@pytest.mark.parametrize("filtered", [True, False], ids=["default profile", "no profile"])
def test_no_release_agent_is_set(bundle: Bundle, filtered: bool) -> None:
    """CVE-2022-0492: in a new hierarchy, and in a visible one."""
    if filtered:
        bundle.linux["seccomp"] = docker_profile.seccomp(bundle.process["capabilities"]["bounding"])
    bundle.namespace("cgroup")
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev")
    attack(bundle, "release_agent")
    result = bundle.run()
    assert result, result.stderr
    assert "WRITABLE" not in result.stdout
    if filtered:
        assert "MOUNTED" not in result.stdout
        assert "refused namespace user EPERM" in result.stdout


# Programs that run with another user's privileges.


def with_setuid(bundle: Bundle) -> None:
    """Add a program to the image that is setuid root."""
    shutil.copy(bundle.rootfs / "usr/bin/id", bundle.rootfs / "as-root")
    (bundle.rootfs / "as-root").chmod(0o4755)


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_no_new_privileges_come_by_setuid(bundle: Bundle, verb: str) -> None:
    """noNewPrivileges holds for the container and for processes that join it."""
    with_setuid(bundle)
    bundle.process["noNewPrivileges"] = True
    if verb == "run":
        bundle.process["user"] = {"uid": 1000, "gid": 1000}
        bundle.shell("/as-root -u")
        result: Any = bundle.run()
    else:
        bundle.running()
        result = bundle.exec("--user", "1000:1000", bundle.identity, "/as-root", "-u")
    assert result, result.stderr
    assert result.stdout.split() == ["1000"]


def test_a_neighbours_setuid_program_is_out_of_reach(
    bundle: Bundle, another: Callable[[], Bundle]
) -> None:
    """A container that shares a PID namespace with another can't access its files."""
    with_setuid(bundle)
    bundle.running()
    neighbour = another()
    neighbour.namespace("pid", f"/proc/{bundle.state()['pid']}/ns/pid")
    neighbour.process["user"] = {"uid": 1000, "gid": 1000}
    neighbour.process["capabilities"] = {}
    neighbour.shell("ls /proc/1/root/; /proc/1/root/as-root -u; ls -l /proc/1/cwd/")
    result = neighbour.run()
    assert not result
    assert result.stdout == ""


def test_the_state_is_its_owners_alone(bundle: Bundle) -> None:
    """CVE-2021-41091: users of the host must not run programs that a container made."""
    bundle.running()
    below = bundle.runtime.root / bundle.identity
    assert below.exists()
    reached = subprocess.run(
        ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "ls", below],
        capture_output=True,
        check=False,
    )
    assert reached.returncode != 0
