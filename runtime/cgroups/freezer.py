"""The frozen state of a cgroup, read from its directories; no `Cgroup` needs to be loaded."""

from __future__ import annotations

from runtime.cgroups import files


def is_frozen(paths: dict[str, str]) -> bool:
    """Return True if version 1's freezer or version 2's `cgroup.freeze` stops the processes."""
    for words, directory in paths.items():
        if "freezer" in words.split(","):
            if files.read_if_there(f"{directory}/freezer.state") not in {None, "THAWED"}:
                return True
        elif not words and files.read_if_there(f"{directory}/cgroup.freeze") == "1":
            return True
    return False
