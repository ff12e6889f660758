"""Capabilities, groups, cgroups and setuid programs as ways to more than was given.

The attacks do no harm where they succeed: they write what is there already, or into a file that is
there for it. docs/security.md tells of each how it is withstood.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from runtime.spec import docker_profile
from tests.oci.driver import Bundle, Done, waited_for

if TYPE_CHECKING:
    from collections.abc import Callable

from tests.oci.attacks import attack
from tests.oci.users import NOBODY, runtime_of_user

# CVE-2022-29162, CVE-2022-24769: inheritable capabilities.


def test_capabilities_are_not_inheritable(bundle: Bundle) -> None:
    """CVE-2022-29162, CVE-2022-24769: neither those that are configured nor those of exec --cap."""
    bundle.running("grep -E 'Cap(Inh|Amb)' /proc/self/status; exec sleep 60")
    none = ["CapInh:", "0" * 16, "CapAmb:", "0" * 16]
    waited_for(lambda: len(bundle.output().split()) == 4, "the sets are told")
    assert bundle.output().split() == none
    done = bundle.exec(
        "--cap", "CAP_NET_ADMIN", bundle.identity, "grep", "-E", "Cap(Inh|Amb)", "/proc/self/status"
    )
    assert done, done.stderr
    assert done.stdout.split() == none


# CVE-2018-7169: groups in user namespaces.


def as_nobody(bundle: Bundle, *words: str) -> Done:
    """Run the runtime as a user without privileges, who is in a group more."""
    bundle.write()
    user = runtime_of_user(bundle.runtime, ids=False)
    return user.tell(*words, "--bundle", str(bundle.path), bundle.identity)


def rootless(bundle: Bundle) -> None:
    """Have root inside be a user without privileges outside, and nobody else be anybody."""
    bundle.namespace("user")
    for kind in ("uidMappings", "gidMappings"):
        bundle.linux[kind] = [{"containerID": 0, "hostID": NOBODY, "size": 1}]
    bundle.linux.pop("cgroupsPath", None)
    for mount in bundle.config["mounts"]:
        mount["options"] = [word for word in mount.get("options", ()) if word != "gid=5"]


def test_a_group_that_takes_away_is_not_left(bundle: Bundle) -> None:
    """CVE-2018-7169: who made the namespace without privileges may not drop groups in it."""
    rootless(bundle)
    attack(bundle, "drop_groups")
    done = as_nobody(bundle, "run")
    assert done, done.stderr
    assert done.stdout.split("\n")[:2] == ["setgroups deny", "refused EPERM"]


def test_groups_that_are_not_mapped_are_refused(bundle: Bundle) -> None:
    """CVE-2018-7169: additionalGids where setgroups is denied."""
    rootless(bundle)
    bundle.process["user"]["additionalGids"] = [7]
    bundle.shell("id -G")
    done = as_nobody(bundle, "run")
    assert not done, done.stdout


# CVE-2023-25809, CVE-2022-0492: cgroups.


@pytest.mark.parametrize("namespace", [True, False], ids=["own namespace", "host's namespace"])
def test_cgroups_that_are_read_only_are_all_so(bundle: Bundle, namespace: bool) -> None:
    """CVE-2023-25809: the cgroups that a container sees, each hierarchy."""
    if namespace:
        bundle.namespace("cgroup")
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev")
    attack(bundle, "cgroups")
    done = bundle.run()
    assert done, done.stderr
    assert "refused" in done.stdout
    assert "WRITABLE" not in done.stdout


@pytest.mark.parametrize("filtered", [True, False], ids=["default profile", "no profile"])
def test_no_release_agent_is_set(bundle: Bundle, filtered: bool) -> None:
    """CVE-2022-0492: by a hierarchy of its own, or by one that it is shown."""
    if filtered:
        bundle.linux["seccomp"] = docker_profile.seccomp(bundle.process["capabilities"]["bounding"])
    bundle.namespace("cgroup")
    bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev")
    attack(bundle, "release_agent")
    done = bundle.run()
    assert done, done.stderr
    assert "WRITABLE" not in done.stdout
    if filtered:
        assert "MOUNTED" not in done.stdout
        assert "refused namespace user EPERM" in done.stdout


# Programs that are run with another's privileges.


def with_setuid(bundle: Bundle) -> None:
    """A program in the image that is root's to whoever runs it."""
    shutil.copy(bundle.rootfs / "usr/bin/id", bundle.rootfs / "as-root")
    (bundle.rootfs / "as-root").chmod(0o4755)


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_no_new_privileges_come_by_setuid(bundle: Bundle, verb: str) -> None:
    """noNewPrivileges holds for the container and for what joins it."""
    with_setuid(bundle)
    bundle.process["noNewPrivileges"] = True
    if verb == "run":
        bundle.process["user"] = {"uid": 1000, "gid": 1000}
        bundle.shell("/as-root -u")
        done: Any = bundle.run()
    else:
        bundle.running()
        done = bundle.exec("--user", "1000:1000", bundle.identity, "/as-root", "-u")
    assert done, done.stderr
    assert done.stdout.split() == ["1000"]


def test_a_neighbours_setuid_program_is_out_of_reach(
    bundle: Bundle, another: Callable[[], Bundle]
) -> None:
    """A container that shares a PID namespace with another gets at none of its files."""
    with_setuid(bundle)
    bundle.running()
    neighbour = another()
    neighbour.namespace("pid", f"/proc/{bundle.state()['pid']}/ns/pid")
    neighbour.process["user"] = {"uid": 1000, "gid": 1000}
    neighbour.process["capabilities"] = {}
    neighbour.shell("ls /proc/1/root/; /proc/1/root/as-root -u; ls -l /proc/1/cwd/")
    done = neighbour.run()
    assert not done
    assert done.stdout == ""


def test_the_state_is_its_owners_alone(bundle: Bundle) -> None:
    """CVE-2021-41091: what a container has made must not be run by a user of the host."""
    bundle.running()
    below = bundle.runtime.root / bundle.identity
    assert below.exists()
    reached = subprocess.run(
        ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "ls", below],
        capture_output=True,
        check=False,
    )
    assert reached.returncode != 0
