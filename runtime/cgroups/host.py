"""Which cgroups this host has, and ours on it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.cgroups.v1 import CgroupV1
from runtime.cgroups.v2 import CgroupV2
from runtime.errors import ContainerError

if TYPE_CHECKING:
    from runtime.cgroups.cgroup import Cgroup

ROOT = Path("/sys/fs/cgroup")


def create(name: str) -> Cgroup:
    """A new cgroup of that name, by the version that the host has.

    Raises ContainerError if it has none, or one of that name exists.
    """
    if is_v2():
        return CgroupV2(name, ROOT)
    found = hierarchies()
    if not found:
        raise ContainerError(f"This host has no cgroups below {ROOT}: mount them.")
    return CgroupV1(name, found)


def leftovers(name: str) -> list[Path]:
    """The directories of that name, in every hierarchy."""
    roots = [ROOT] if is_v2() else list(hierarchies().values())
    return [root / name for root in roots if (root / name).is_dir()]


@functools.cache
def is_v2() -> bool:
    """Whether version 2 has the controllers (`unified`), not just a place (`hybrid`)."""
    return (ROOT / "cgroup.controllers").exists()


@functools.cache
def hierarchies() -> dict[str, Path]:
    """Version 1's mounts: {controllers, comma-separated, or `systemd`: root}. (proc_mounts(5))"""
    found = {}
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        root = Path(where)
        if kind == "cgroup" and root.parent == ROOT and not root.is_symlink():
            named = [word[5:] for word in options.split(",") if word.startswith("name=")]
            found[named[0] if named else _controllers(root.name, options)] = root
    return found


def _controllers(name: str, options: str) -> str:
    """The controllers of a mount: the options that are no mount flags."""
    flags = {
        "rw",
        "ro",
        "nosuid",
        "nodev",
        "noexec",
        "relatime",
        "noatime",
        "xattr",
        "clone_children",
    }
    return ",".join(word for word in options.split(",") if word not in flags) or name
