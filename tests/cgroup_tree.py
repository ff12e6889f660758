"""Search of the host's cgroups by name, while other programs make and remove cgroups."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path


def cgroups_named(pattern: str) -> list[Path]:
    """Return the directories in all hierarchies whose own name matches, at any depth.

    Unlike Path.glob, this skips directories that vanish meanwhile.
    """
    return [
        Path(directory, name)
        for directory, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if fnmatch(name, pattern)
    ]
