"""Whether a cgroup is frozen, by its directories alone: verbs ask that need no `Cgroup`."""

from __future__ import annotations

from runtime.cgroups import files


def is_frozen(paths: dict[str, str]) -> bool:
    """Return True if it was stopped by version 1's freezer or by version 2's `cgroup.freeze`."""
    for words, directory in paths.items():
        if "freezer" in words.split(","):
            if files.read_if_there(f"{directory}/freezer.state") not in {None, "THAWED"}:
                return True
        elif not words and files.read_if_there(f"{directory}/cgroup.freeze") == "1":
            return True
    return False
