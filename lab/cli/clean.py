"""Remove what runs that were killed have left on the host; nothing that a living run holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import runtime
from lab import targets
from lab.host import kernel_costs, plain_paths
from lab.host.measurement_lock import measurement_lock
from lab.host.scratch import left_directories, remove
from lab.paths import cache_directory
from vms.connection import process_root
from vms.storage import machine_folders
from vms.storage.image_store import Store

if TYPE_CHECKING:
    from pathlib import Path


def everything(*, images: bool = False) -> list[str]:
    """Clean up after every run that is gone; what was removed, one line each.

    With `images` the built user land goes too. Raises LabError while a measurement is under way.
    """
    with measurement_lock(), plain_paths.plain_cache():
        removed = runtime.clean(runtime.DEFAULT_ROOT)
        removed += process_root.clean()
        removed += machine_folders.clean() + Store().clean()
        removed += kernel_costs.clean()
        for scratch in left_directories():
            for name in targets.NAMES:
                removed += targets.find(name).clean(scratch)
            removed.append(_remove(scratch))
        if images:
            removed += [
                _remove(path) for path in sorted(cache_directory().iterdir()) if path.is_dir()
            ]
        return removed


def _remove(path: Path) -> str:
    remove(path)
    return f"removed {path}"
