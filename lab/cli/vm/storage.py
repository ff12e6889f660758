"""`tonnage vm`: the media in a machine's drives, and what becomes of its disks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.vm.shared import one, verb
from lab.errors import LabError

if TYPE_CHECKING:
    import argparse

    import vms
    from lab.cli.vm.shared import Subparsers


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add change-media and undefine."""
    parser = one(
        verbs, common, "change-media", _change_media, "put an ISO into a drive, or eject it"
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="ISO")
    parser.add_argument("--eject", action="store_true", help="leave the drive empty")
    parser.add_argument("--target", metavar="TARGET", help="such as sda; default: the only drive")
    parser.add_argument("--force", action="store_true", help="even if the guest has locked it")
    parser = verb(verbs, common, "undefine", _undefine, "forget machines; their disks stay")
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument(
        "--remove-all-storage",
        action="store_true",
        help="remove their disks too, unless another machine or an image reads from one",
    )


def _change_media(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import media

    if (options.file is None) == (not options.eject):
        raise LabError("Name an ISO to put in, or --eject.")
    media.change(
        connection,
        connection.find(options.name),
        options.file and connection.host.path(options.file),
        options.target,
        force=options.force,
    )
    return 0


def _undefine(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import removal

    for box in [connection.find(name) for name in options.names]:
        if not options.remove_all_storage:
            box.undefine()
            continue
        for path in removal.undefine_with_storage(connection, box):
            print(f"removed {path}", file=sys.stderr)
    return 0
