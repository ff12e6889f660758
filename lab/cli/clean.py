"""`tonnage clean`: remove everything that killed runs left on the host.

Nothing that a living run uses is removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli import shared_options
from lab.cli.exit_codes import DONE

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def register(verbs: shared_options.Verbs, common: argparse.ArgumentParser) -> None:
    """Add the verb."""
    parser = shared_options.add_verb(
        verbs,
        "clean",
        _clean,
        "remove everything that killed runs left on the host",
        (common,),
    )
    parser.add_argument(
        "--images",
        action="store_true",
        help="also remove the cache of built images; the next run builds them again",
    )


def _clean(options: argparse.Namespace) -> int:
    for line in everything(images=options.images) or ["nothing to remove"]:
        print(line)
    return DONE


def everything(*, images: bool = False) -> list[str]:
    """Clean up after every run that has ended; return a line for each removal.

    `images` removes the built user lands too. Raise HostBusy during a measurement.
    """
    import runtime
    from lab import targets
    from lab.classroom import server
    from lab.hands_on import belongings
    from lab.host import kernel_costs, libvirt_library, plain_paths, private_folder
    from lab.host.measurement_lock import measurement_lock
    from lab.host.scratch import left_directories
    from lab.paths import cache_directory
    from lab.targets import leftovers
    from vms.connection import process_root
    from vms.storage.image_store import Store

    with measurement_lock(), plain_paths.plain_cache():
        removed = runtime.clean(runtime.DEFAULT_ROOT)
        removed += process_root.clean()
        if not libvirt_library.absent():
            from vms.storage import machine_folders

            removed += machine_folders.clean()
        removed += Store().clean()
        removed += kernel_costs.clean()
        removed += belongings.clean() + private_folder.clean(server.PREFIX)
        for scratch in left_directories():
            for name in targets.NAMES:
                removed += targets.find(name).clean(scratch)
            for name in sorted(leftovers.names(scratch)):  # of runtimes that the user named
                removed += leftovers.clean(name, scratch)
            removed.append(_remove(scratch))
        if images:
            removed += [
                _remove(path) for path in sorted(cache_directory().iterdir()) if path.is_dir()
            ]
        return removed


def _remove(path: Path) -> str:
    from lab.host.scratch import remove

    remove(path)
    return f"removed {path}"
