"""Version 2: which controllers a cgroup has, and how it comes to have them."""

from __future__ import annotations

import os

from runtime.cgroups import files

# The controllers that a limit of the specification, or a file of `unified`, may need.
_ALL = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb", "rdma", "misc")


def enable(directory: str) -> None:
    """Hand every controller down to the cgroup, from the root on, as far as that is possible.

    The kernel refuses where processes sit in a cgroup above it: a limit that needs the controller
    is then refused by name.
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
    """The controllers whose files the cgroup has."""
    return (files.read_if_there(f"{directory}/cgroup.controllers") or "").split()


def _ancestors(directory: str) -> list[str]:
    """Those above it, the root of the hierarchy first."""
    found: list[str] = []
    parent = os.path.dirname(directory)
    while os.path.exists(f"{parent}/cgroup.subtree_control"):
        found.insert(0, parent)
        parent = os.path.dirname(parent)
    return found


def _enabled(directory: str, controllers: list[str]) -> bool:
    try:
        files.write(
            f"{directory}/cgroup.subtree_control",
            " ".join(f"+{controller}" for controller in controllers),
        )
    except OSError:
        return False
    return True
