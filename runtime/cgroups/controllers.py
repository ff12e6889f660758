"""Controllers of version 2: how a cgroup gets them from its parent."""

from __future__ import annotations

import os

from runtime.cgroups import files

# The controllers that the limits of the specification and the files of `unified` may need.
_ALL = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb", "rdma", "misc")


def enable(directory: str) -> None:
    """Enable all available controllers in the cgroup, from the root down.

    The kernel refuses if a parent has processes of its own. A limit that needs the missing
    controller is then refused by name.
    """
    for ancestor in _ancestors(directory):
        enabled = files.read(f"{ancestor}/cgroup.subtree_control").split()
        if all(controller in enabled for controller in _ALL):
            continue
        present = files.read(f"{ancestor}/cgroup.controllers").split()
        missing = [each for each in _ALL if each in present and each not in enabled]
        if missing and not _enabled(ancestor, missing):
            for controller in missing:
                _enabled(ancestor, [controller])


def of(directory: str) -> list[str]:
    """Return the controllers that the cgroup has."""
    return (files.read_if_there(f"{directory}/cgroup.controllers") or "").split()


def _ancestors(directory: str) -> list[str]:
    """Return the cgroups above this one, the root of the hierarchy first."""
    ancestors: list[str] = []
    parent = os.path.dirname(directory)
    while os.path.exists(f"{parent}/cgroup.subtree_control"):
        ancestors.insert(0, parent)
        parent = os.path.dirname(parent)
    return ancestors


def _enabled(directory: str, controllers: list[str]) -> bool:
    try:
        files.write(
            f"{directory}/cgroup.subtree_control",
            " ".join(f"+{controller}" for controller in controllers),
        )
    except OSError:
        return False
    return True
