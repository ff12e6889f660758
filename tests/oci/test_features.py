"""features.md and features-linux.md: the output of `features`."""

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
    result = runtime.tell("features")
    assert result, result.stderr
    observed: dict[str, Any] = json.loads(result.stdout)
    return observed


def test_nothing_else_is_told(features: dict[str, Any]) -> None:
    """Features Structure: MUST NOT contain properties that are not defined."""
    assert set(features) <= KNOWN
    assert set(features["linux"]) <= LINUX


def test_the_cgroup_managers_are_what_is_built(features: dict[str, Any]) -> None:
    """Cgroup: the managers that the runtime has, whatever the host has."""
    cgroup = features["linux"]["cgroup"]
    assert (cgroup["v1"], cgroup["v2"], cgroup["systemd"]) == (True, True, True)


def test_the_namespaces_are_recognized(features: dict[str, Any], bundle: Bundle) -> None:
    """Namespaces: the runtime MUST recognize each of them in config.json."""
    reported = set(features["linux"]["namespaces"])
    assert reported >= {"cgroup", "ipc", "mount", "network", "pid", "user", "uts"}
    for kind in reported - {"user"}:
        bundle.namespace(kind)
    bundle.shell("exit 0")
    result = bundle.run()
    assert result, result.stderr


def test_the_mount_options_are_recognized(features: dict[str, Any], bundle: Bundle) -> None:
    """Mount Options: each MUST be recognized, and none is passed to the file system."""
    asked = {"remount", "bind", "rbind", "idmap", "ridmap", "tmpcopyup", "mand", "iversion"}
    for option in sorted(set(features["mountOptions"]) - asked):
        bundle.mount(f"/mounted/{option}", "tmpfs", "tmpfs", option)
    bundle.shell("exit 0")
    result = bundle.run()
    assert result, result.stderr
