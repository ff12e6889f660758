"""features.md and features-linux.md: what `features` prints."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.oci.driver import Bundle, Runtime

KNOWN = {"ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux", "annotations",
         "potentiallyUnsafeConfigAnnotations"}  # fmt: skip
LINUX = {"namespaces", "capabilities", "cgroup", "seccomp", "apparmor", "selinux", "intelRdt",
         "memoryPolicy", "mountExtensions", "netDevices"}  # fmt: skip


@pytest.fixture
def features(runtime: Runtime) -> dict[str, Any]:
    done = runtime.tell("features")
    assert done, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_nothing_else_is_told(features: dict[str, Any]) -> None:
    """Features Structure: MUST NOT contain properties that are not defined."""
    assert set(features) <= KNOWN
    assert set(features["linux"]) <= LINUX


def test_the_cgroup_managers_are_what_is_built(features: dict[str, Any]) -> None:
    """Cgroup: the runtime's, irrelevant to the host's cgroups; systemd's is asked for a scope."""
    cgroup = features["linux"]["cgroup"]
    assert (cgroup["v1"], cgroup["v2"], cgroup["systemd"]) == (True, True, True)


def test_the_namespaces_are_recognized(features: dict[str, Any], bundle: Bundle) -> None:
    """Namespaces: the runtime MUST recognize each as a type of config.json's."""
    told = set(features["linux"]["namespaces"])
    assert told >= {"cgroup", "ipc", "mount", "network", "pid", "user", "uts"}
    for kind in told - {"user"}:
        bundle.namespace(kind)
    bundle.shell("exit 0")
    done = bundle.run()
    assert done, done.stderr


def test_the_mount_options_are_recognized(features: dict[str, Any], bundle: Bundle) -> None:
    """Mount Options: MUST be recognized, none is handed to the file system as its own."""
    asked = {"remount", "bind", "rbind", "idmap", "ridmap", "tmpcopyup", "mand", "iversion"}
    for option in sorted(set(features["mountOptions"]) - asked):
        bundle.mount(f"/mounted/{option}", "tmpfs", "tmpfs", option)
    bundle.shell("exit 0")
    done = bundle.run()
    assert done, done.stderr
