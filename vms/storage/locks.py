"""Directories that a living process holds: what a killed one left is known by that nobody does.

(flock(2))
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def lock(directory: Path) -> int | None:
    """Return a locked descriptor of the directory, which is made if need be; None if it is held."""
    while True:
        directory.mkdir(parents=True, exist_ok=True)
        held = os.open(directory, os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if directory.is_dir() and os.path.samestat(os.fstat(held), directory.stat()):
                return held
        except BlockingIOError:
            os.close(held)
            return None
        os.close(held)  # it was removed between the two calls
