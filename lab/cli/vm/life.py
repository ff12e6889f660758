"""`tonnage vm`: the life of machines in a libvirt daemon, under the names of virsh's commands."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lab import units
from lab.cli.vm import definition, hardware, inside, reach, snapshots, storage
from lab.cli.vm.several import for_each
from lab.cli.vm.shared import (
    add_connected_verb,
    add_machine_verb,
    add_machines,
    keys_of,
    open_libvirt,
    print_event,
    print_record,
    print_rows,
)
from lab.language.message import Message, recalled

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    import vms
    from lab.cli.vm.shared import ConnectedAction, Subparsers


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the verbs of a machine's life."""
    for name, act, text in _SIMPLE:
        add_machines(add_connected_verb(verbs, common, name, _on_each(act), text))
    _register_shutdown(verbs, common)
    _register_state(verbs, common)
    _register_migrate(verbs, common)
    _register_observers(verbs, common)
    for module in (snapshots, definition, hardware, reach, storage, inside):
        module.register(verbs, common)


_SIMPLE: tuple[tuple[str, Callable[[vms.Domain], object], str], ...] = (
    ("start", lambda domain: domain.start(), "start machines, or resume saved ones"),
    ("destroy", lambda domain: domain.destroy(), "stop machines at once, like pulling the plug"),
    ("reboot", lambda domain: domain.reboot(), "ask the guests to reboot"),
    ("reset", lambda domain: domain.reset(), "reset machines, like the reset button"),
    ("suspend", lambda domain: domain.suspend(), "pause the CPUs of machines"),
    ("resume", lambda domain: domain.resume(), "resume the CPUs of suspended machines"),
)


def _register_shutdown(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    parser = add_connected_verb(
        verbs,
        common,
        "shutdown",
        _shutdown,
        "shut machines down: by ACPI, then by the guest agent, then by force",
    )
    add_machines(parser)
    parser.add_argument(
        "--timeout",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="limit for the shutdown before force is used; default: 60",
    )
    parser.add_argument("--no-force", action="store_true", help="fail instead of using force")


def _register_state(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    parser = add_machine_verb(
        verbs, common, "save", _save, "stop a machine and save its memory, to resume it later"
    )
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="the file for restore; default: a file of libvirt, which the next start resumes from",
    )
    parser = add_connected_verb(
        verbs, common, "restore", _restore, "resume a machine from a file that save wrote"
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the file that save wrote")
    parser = add_machine_verb(verbs, common, "rename", _rename, "rename a machine that is off")
    parser.add_argument("new", metavar="NEW", help="the new name")
    parser = add_machine_verb(
        verbs, common, "clone", _clone, "copy a machine that is off, with its disks"
    )
    parser.add_argument("new", metavar="NEW", help="the copy's name")
    parser = add_machine_verb(
        verbs, common, "autostart", _autostart, "start a machine whenever libvirt starts"
    )
    parser.add_argument("--disable", action="store_true", help="do not start it any more")


def _register_migrate(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    parser = add_machine_verb(
        verbs, common, "migrate", _migrate, "move a running machine to another libvirt"
    )
    parser.add_argument("destination", metavar="URI", help="the other libvirt")
    parser.add_argument(
        "--to", metavar="URI", help="the address of the destination's QEMU; default: loopback"
    )
    parser.add_argument(
        "--copy-disks", action="store_true", help="copy disks that the hosts do not share"
    )


def _register_observers(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    add_connected_verb(verbs, common, "stats", _stats, "print CPU, memory and disk use of machines")
    parser = add_connected_verb(
        verbs, common, "events", _events, "print events of machines until Ctrl-C"
    )
    parser.add_argument("--count", type=int, metavar="N", help="exit after N events")


def _on_each(act: Callable[[vms.Domain], object]) -> ConnectedAction:
    def run(options: argparse.Namespace, connection: vms.Connection) -> int:
        return for_each(options.names, lambda name: act(connection.find(name)))

    return run


def _shutdown(options: argparse.Namespace, connection: vms.Connection) -> int:
    def shut_down(name: str) -> None:
        domain = connection.find(name)
        method = domain.shutdown(options.timeout, force=not options.no_force)
        print(f"{domain.name} was shut down by {method}", file=sys.stderr)

    return for_each(options.names, shut_down)


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

    with open_libvirt(options.destination) as destination:
        migration = migrate.migrate(
            connection.find(options.name),
            destination,
            uri=options.to,
            copy_disks=options.copy_disks,
        )
    figures = {
        "machine": migration.domain.name,
        "total_seconds": migration.total_seconds,
        "downtime_seconds": migration.downtime_seconds,
        "transferred_bytes": migration.transferred_bytes,
    }
    sentence = Message(
        "{machine} migrated in {total}, with a downtime of {downtime} and {bytes} transferred",
        machine=migration.domain.name,
        total=units.quantity(migration.total_seconds, "second"),
        downtime=units.quantity(migration.downtime_seconds, "second"),
        bytes=units.quantity(migration.transferred_bytes, "byte"),
    )
    print_record(options, figures, sentence)
    return 0


def _stats(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import statistics

    machines = statistics.all_machines(connection)
    rows = [
        (
            each.name,
            recalled(each.state),
            units.quantity(each.cpu_ns / 1e9, "second"),
            units.quantity(each.memory_bytes, "byte"),
            units.quantity(each.resident_bytes, "byte"),
            units.quantity(sum(disk.allocated_bytes for disk in each.disks), "byte"),
        )
        for each in machines
    ]
    headings = (
        Message("NAME"),
        Message("STATE"),
        Message("CPU"),
        Message("MEMORY"),
        Message("RESIDENT"),
        Message("DISKS"),
    )
    keys = keys_of(statistics.MachineStatistics)
    return print_rows(options, keys, [asdict(each) for each in machines], headings, rows)


def _events(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.domain.events import Events

    with Events(connection.handle) as stream:
        for number, event in enumerate(stream, start=1):
            if options.format == "json":
                print(json.dumps(asdict(event)), flush=True)
            elif options.format in ("csv", "markdown"):
                print_event(options.format, asdict(event), first=number == 1)
            else:
                print(event.machine, event.kind, event.name, event.detail, flush=True)
            if number == options.count:
                break
    return 0
