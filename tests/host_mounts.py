"""Mounts of the host, for tests that compare them before and after."""

from __future__ import annotations

from pathlib import Path

# In the mounts that other tests make at the same time: of ours, of engines, of network namespaces.
_OTHERS = ("tonnage", "/containers/", "/docker/", "/libpod/", "/netns/", "/lxc")


def mounts_of_host(own: str) -> list[str]:
    """Return the mounts with their propagation, without those of tests that run meanwhile.

    `own` is in the paths of all mounts of the caller.
    """
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return sorted(
        " ".join(line.split()[2:])
        for line in lines
        if own in line or not any(word in line for word in _OTHERS)
    )
