"""Remove what runs that were killed have left on the host; nothing that a living run holds."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import runtime
import vms
from lab.harness import measurement_lock
from lab.targets import docker, oci, podman
from lab.userland import cache_directory

if TYPE_CHECKING:
    from pathlib import Path


def everything(*, images: bool = False) -> list[str]:
    """Clean up after every run that is gone; what was removed, one line each.

    With `images` the built user land goes too. Raises LabError while a measurement is under way.
    """
    with measurement_lock():
        removed = runtime.clean(runtime.DEFAULT_ROOT)
        for scratch in sorted(cache_directory().glob("s[0-9]*")):
            removed += _run(scratch)
        if images:
            removed += [_remove(path) for path in sorted(cache_directory().glob("*-*"))]
        return removed


def _run(scratch: Path) -> list[str]:
    """What one run left: containers, peers' containers, machines, then the directory itself."""
    removed = runtime.clean(scratch / "containers")
    for peer in (oci, podman, docker):
        removed += peer.clean(scratch)
    for libvirt_root in sorted(scratch.glob("l-*")):
        removed += vms.clean(libvirt_root)
    return [*removed, _remove(scratch)]


def _remove(path: Path) -> str:
    shutil.rmtree(path)
    return f"removed {path}"
