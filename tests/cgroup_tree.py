"""Cgroups of the host by their names, while other programs make and remove theirs."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path


def cgroups_named(pattern: str) -> list[Path]:
    """Return the directories of every hierarchy whose own name matches, however deep they are.

    What vanishes meanwhile is passed over, which Path.glob does not do.
    """
    return [
        Path(directory, name)
        for directory, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if fnmatch(name, pattern)
    ]
