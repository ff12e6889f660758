"""`tonnage vm`: snapshots of machines."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from lab.cli.vm.shared import add_machine_verb, keys_of, print_rows
from lab.language.message import Message

if TYPE_CHECKING:
    import argparse

    import vms
    from lab.cli.vm.shared import Subparsers


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the verbs of snapshots."""
    parser = add_machine_verb(
        verbs, common, "snapshot-create", _snapshot_create, "take a snapshot of a machine"
    )
    _add_snapshot(parser)
    parser.add_argument(
        "--external",
        action="store_true",
        help="snapshot only the disks, by putting an overlay above each of them",
    )
    parser.add_argument("--description", default="", help="a text that libvirt stores with it")
    add_machine_verb(
        verbs, common, "snapshot-list", _snapshot_list, "list the snapshots of a machine"
    )
    parser = add_machine_verb(
        verbs, common, "snapshot-revert", _snapshot_revert, "return a machine to a snapshot"
    )
    _add_snapshot(parser)
    parser = add_machine_verb(
        verbs,
        common,
        "snapshot-delete",
        _snapshot_delete,
        "delete a snapshot; the overlays of an external one are merged",
    )
    _add_snapshot(parser)
    parser.add_argument(
        "--metadata",
        action="store_true",
        help="delete only libvirt's record, and leave the disks unchanged",
    )


def _add_snapshot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("snapshot", metavar="SNAPSHOT", help="the snapshot's name")


def _snapshot_create(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import snapshots

    snapshots.create(
        connection.find(options.name),
        options.snapshot,
        description=options.description,
        external=options.external,
    )
    return 0


def _snapshot_list(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import snapshots

    listed = snapshots.of(connection.find(options.name))
    rows = [
        (
            each.name,
            Message("external") if each.is_external else Message("internal"),
            Message("yes") if each.has_memory else "",
            Message("yes") if each.is_current else "",
            each.parent,
        )
        for each in listed
    ]
    headings = (
        Message("NAME"),
        Message("KIND"),
        Message("MEMORY"),
        Message("CURRENT"),
        Message("PARENT"),
    )
    keys = keys_of(snapshots.Snapshot)
    return print_rows(options, keys, [asdict(each) for each in listed], headings, rows)


def _snapshot_revert(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import snapshots

    snapshots.revert(connection.find(options.name), options.snapshot)
    return 0


def _snapshot_delete(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import snapshots

    snapshots.delete(connection.find(options.name), options.snapshot, metadata=options.metadata)
    return 0
