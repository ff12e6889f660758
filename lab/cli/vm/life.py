"""`tonnage vm`: the life of kept machines, by the names that virsh's users expect."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lab import units
from lab.cli.vm import definition, hardware, inside, reach, storage
from lab.cli.vm.shared import one, opened, show, verb

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    import vms
    from lab.cli.vm.shared import Subparsers, Verb


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the verbs of a machine's life."""
    for name, act, text in _PLAIN:
        verb(verbs, common, name, _on_each(act), text).add_argument(
            "names", nargs="+", metavar="NAME"
        )
    _add_life(verbs, common)
    _add_snapshots(verbs, common)
    definition.register(verbs, common)
    hardware.register(verbs, common)
    reach.register(verbs, common)
    storage.register(verbs, common)
    inside.register(verbs, common)


_PLAIN: tuple[tuple[str, Callable[[vms.Domain], object], str], ...] = (
    ("start", lambda box: box.start(), "start machines, or let saved ones go on"),
    ("destroy", lambda box: box.destroy(), "pull the plug"),
    ("reboot", lambda box: box.reboot(), "ask for a restart"),
    ("reset", lambda box: box.reset(), "press the reset button"),
    ("suspend", lambda box: box.suspend(), "halt the CPUs"),
    ("resume", lambda box: box.resume(), "let the CPUs run again"),
)


def _add_life(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    parser = verb(verbs, common, "shutdown", _shutdown, "by ACPI, then by its agent, then by force")
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--no-force", action="store_true", help="fail rather than pull the plug")
    parser = one(verbs, common, "save", _save, "write the memory to a file, or for the next start")
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE")
    verb(verbs, common, "restore", _restore, "let a machine saved to a file go on").add_argument(
        "file", type=Path, metavar="FILE"
    )
    one(verbs, common, "rename", _rename, "give a machine that is off another name").add_argument(
        "new", metavar="NEW"
    )
    one(verbs, common, "clone", _clone, "copy a machine that is off").add_argument(
        "new", metavar="NEW"
    )
    parser = one(verbs, common, "autostart", _autostart, "start with libvirt")
    parser.add_argument("--disable", action="store_true")
    parser = one(verbs, common, "migrate", _migrate, "move a running machine to another libvirt")
    parser.add_argument("destination", metavar="URI")
    parser.add_argument(
        "--to", metavar="URI", help="where QEMU is reached there; default: loopback"
    )
    parser.add_argument("--copy-disks", action="store_true", help="where they are not shared")
    verb(verbs, common, "stats", _stats, "what all machines use")
    verb(verbs, common, "events", _events, "what happens, until Ctrl-C").add_argument(
        "--count", type=int, metavar="N", help="end after that many"
    )


def _add_snapshots(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    parser = one(verbs, common, "snapshot-create", _snapshot_create, "take a snapshot")
    parser.add_argument("snapshot", metavar="SNAPSHOT")
    parser.add_argument("--external", action="store_true", help="of the disks alone, as an overlay")
    parser.add_argument("--description", default="")
    one(verbs, common, "snapshot-list", _snapshot_list, "a machine's snapshots")
    one(verbs, common, "snapshot-revert", _snapshot_revert, "go back to a snapshot").add_argument(
        "snapshot", metavar="SNAPSHOT"
    )
    parser = one(
        verbs,
        common,
        "snapshot-delete",
        _snapshot_delete,
        "forget a snapshot; an overlay is merged",
    )
    parser.add_argument("snapshot", metavar="SNAPSHOT")
    parser.add_argument(
        "--metadata",
        action="store_true",
        help="only libvirt forgets it: the disks stay as they are",
    )


def _on_each(act: Callable[[vms.Domain], object]) -> Verb:
    def run(options: argparse.Namespace, connection: vms.Connection) -> int:
        for box in [connection.find(name) for name in options.names]:
            act(box)
        return 0

    return run


def _shutdown(options: argparse.Namespace, connection: vms.Connection) -> int:
    for box in [connection.find(name) for name in options.names]:
        ended = box.shutdown(options.timeout, force=not options.no_force)
        print(f"{box.name} was shut down by {ended}", file=sys.stderr)
    return 0


def _save(options: argparse.Namespace, connection: vms.Connection) -> int:
    connection.find(options.name).save(options.file and connection.host.path(options.file))
    return 0


def _restore(options: argparse.Namespace, connection: vms.Connection) -> int:
    print(connection.restore(connection.host.path(options.file)).name)
    return 0


def _rename(options: argparse.Namespace, connection: vms.Connection) -> int:
    connection.find(options.name).rename(options.new)
    return 0


def _clone(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import clone

    print(clone.clone(connection, connection.find(options.name), options.new).name)
    return 0


def _autostart(options: argparse.Namespace, connection: vms.Connection) -> int:
    connection.find(options.name).autostart = not options.disable
    return 0


def _migrate(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import migrate

    with opened(options.destination) as destination:
        moved = migrate.migrate(
            connection.find(options.name),
            destination,
            uri=options.to,
            copy_disks=options.copy_disks,
        )
    figures = {
        "machine": moved.domain.name,
        "total_seconds": moved.total_seconds,
        "downtime_seconds": moved.downtime_seconds,
        "transferred_bytes": moved.transferred_bytes,
    }
    if options.format == "json":
        print(json.dumps(figures, indent=2))
    else:
        print(
            f"{moved.domain.name} moved in {units.quantity(moved.total_seconds, 'second')}, stood"
            f" still for {units.quantity(moved.downtime_seconds, 'second')},"
            f" {units.quantity(moved.transferred_bytes, 'byte')} were transferred"
        )
    return 0


def _stats(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import statistics

    found = statistics.all_machines(connection)
    rows = [
        (
            each.name,
            each.state,
            units.quantity(each.cpu_ns / 1e9, "second"),
            units.quantity(each.memory_bytes, "byte"),
            units.quantity(each.resident_bytes, "byte"),
            units.quantity(sum(disk.allocated_bytes for disk in each.disks), "byte"),
        )
        for each in found
    ]
    heads = ("NAME", "STATE", "CPU", "MEMORY", "RESIDENT", "DISKS")
    return show(options, [asdict(each) for each in found], heads, rows)


def _events(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.domain.events import Events

    with Events(connection.handle) as heard:
        for number, event in enumerate(heard, start=1):
            if options.format == "json":
                print(json.dumps(asdict(event)), flush=True)
            else:
                print(event.machine, event.kind, event.name, event.detail, flush=True)
            if number == options.count:
                break
    return 0


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

    found = snapshots.of(connection.find(options.name))
    rows = [
        (
            each.name,
            "external" if each.is_external else "internal",
            "yes" if each.has_memory else "",
            "yes" if each.is_current else "",
            each.parent,
        )
        for each in found
    ]
    heads = ("NAME", "KIND", "MEMORY", "CURRENT", "PARENT")
    return show(options, [asdict(each) for each in found], heads, rows)


def _snapshot_revert(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import snapshots

    snapshots.revert(connection.find(options.name), options.snapshot)
    return 0


def _snapshot_delete(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import snapshots

    snapshots.delete(connection.find(options.name), options.snapshot, metadata=options.metadata)
    return 0
