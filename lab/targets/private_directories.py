"""Empty file systems over directories that a tool uses whatever its options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab.host import mount_namespace
from lab.targets import leftovers
from vms.storage import locks

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import ExitStack


def cover(resources: ExitStack, folder: Path, directories: Iterable[str]) -> None:
    """Mount empty file systems over the directories, until `resources` are released.

    They are mounted in this process's mount namespace only, which must be private. Directories that
    are missing are made, and noted in `folder` for `clean`.
    """
    for path in map(Path, directories):
        if not path.exists():
            path.mkdir(parents=True)
            resources.callback(locks.remove_if_unused, path)
            leftovers.note(folder, path)
        resources.enter_context(locks.shared(path))
        mount_namespace.mount("tmpfs", path, f"mode={path.stat().st_mode & 0o7777:o}")
        resources.callback(mount_namespace.unmount, path)
