"""`tonnage vm`: media in a machine's drives, and the disks of a machine that is removed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.vm.several import for_each
from lab.cli.vm.shared import add_connected_verb, add_machine_verb, add_machines
from lab.errors import InvalidConfig

if TYPE_CHECKING:
    import argparse

    import vms
    from lab.cli.vm.shared import Subparsers


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add change-media and undefine."""
    parser = add_machine_verb(
        verbs, common, "change-media", _change_media, "insert an ISO into a drive, or eject it"
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="ISO", help="the ISO to insert")
    parser.add_argument("--eject", action="store_true", help="empty the drive")
    parser.add_argument(
        "--target", metavar="TARGET", help="the drive, such as sda; default: the only drive"
    )
    parser.add_argument(
        "--force", action="store_true", help="eject even if the guest has locked the drive"
    )
    parser = add_connected_verb(
        verbs, common, "undefine", _undefine, "remove machines from libvirt, and keep their disks"
    )
    add_machines(parser)
    parser.add_argument(
        "--remove-all-storage",
        action="store_true",
        help="delete their disks too, except a disk that another machine or image depends on",
    )


def _change_media(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import media

    if (options.file is None) == (not options.eject):
        raise InvalidConfig("Give either an ISO to insert, or --eject.")
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

    def undefine(name: str) -> None:
        domain = connection.find(name)
        if not options.remove_all_storage:
            domain.undefine()
            return
        for path in removal.undefine_with_storage(connection, domain):
            print(f"removed {path}", file=sys.stderr)

    return for_each(options.names, undefine)
