"""Root of the libvirt that is embedded in this process, named for the process.

A root has the sockets, configuration and state of the machines that the process runs.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vms import paths
from vms.connection import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def own_root() -> Iterator[Path]:
    """Yield a root for this process's embedded libvirt; first remove the roots of dead processes.

    The root and all below it are removed when the block ends.
    """
    clean()
    root = paths.roots() / str(os.getpid())
    embedded.claim(root)
    try:
        yield root
    finally:
        embedded.release(root)
        embedded.clean(root)


def clean() -> list[str]:
    """Remove the roots of processes that are gone; return a line for each step taken."""
    return [line for root in roots() for line in embedded.clean(root)]


def roots() -> list[Path]:
    """Return the roots of all processes, living or dead."""
    return sorted(path for path in paths.roots().glob("*") if path.is_dir())
