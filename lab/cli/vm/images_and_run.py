"""`tonnage vm`: images, and machines made of them."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lab import units
from lab.cli.vm import machine_options
from lab.cli.vm.inside import tell
from lab.cli.vm.shared import address
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import vms
    from vms.storage.image_store import Image

_BUILT = "debian"
_SHELL_WORDS = "systemd.wants=tonnage-console.service"  # lab/workloads/guest has it


def register(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add build, image, images, create, run and list."""
    verb = verbs.add_parser(
        "build", parents=[common], help="an image from the definition that the containers' is of"
    )
    verb.add_argument("name", nargs="?", default=_BUILT, metavar="NAME", help=f"default: {_BUILT}")
    verb.set_defaults(machine_verb=_build)
    verb = verbs.add_parser("images", parents=[common], help="the same as `image list`")
    verb.set_defaults(machine_verb=_images)
    _register_image(verbs.add_parser("image", help="images: import, list, remove, resize"), common)
    for name, function, text in (
        ("run", _run, "run a machine here, with its console, until it ends; nothing is kept"),
        ("create", _create, "make a machine that a libvirt keeps: needs --connect"),
    ):
        verb = verbs.add_parser(name, parents=[common, machine_options.parser()], help=text)
        verb.set_defaults(machine_verb=function)
    verb = verbs.add_parser("list", parents=[common], help="machines, running or not")
    verb.set_defaults(machine_verb=_list)


def _register_image(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    verb = verbs.add_parser("list", parents=[common], help="what is in the store")
    verb.set_defaults(machine_verb=_images)
    verb = verbs.add_parser("import", parents=[common], help="take in a cloud image")
    verb.add_argument("name", metavar="NAME")
    verb.add_argument("source", metavar="PATH|URL")
    verb.add_argument("--checksum", metavar="SHA256", help="sha256:… or sha512:…; a URL needs one")
    verb.add_argument("--source-format", choices=("qcow2", "raw"), default="qcow2")
    verb.set_defaults(machine_verb=_import)
    verb = verbs.add_parser("remove", parents=[common], help="remove images that nothing uses")
    verb.add_argument("names", nargs="+", metavar="NAME")
    verb.set_defaults(machine_verb=_remove)
    verb = verbs.add_parser("resize", parents=[common], help="make an image's disk larger")
    verb.add_argument("name", metavar="NAME")
    verb.add_argument("size", type=machine_options.size, metavar="SIZE", help="such as 20G")
    verb.set_defaults(machine_verb=_resize)


def _build(options: argparse.Namespace) -> int:
    from lab.targets.machines.machine import FullMachine
    from lab.userland import build, guest_kernel, root_tree
    from vms.storage.image_store import Store

    land = build.build(_progress)
    initramfs, shares = guest_kernel.interactive_machine(_progress)
    image = Store().add(
        options.name,
        f"Debian {root_tree.debian_suite()}",
        land.disk,
        land.kernel,
        initramfs,
        f"{FullMachine.kernel_words} {_SHELL_WORDS}",
        shares,
    )
    return _show_images([image], options.format)


def _images(options: argparse.Namespace) -> int:
    from vms.storage.image_store import Store

    return _show_images(Store().images(), options.format)


def _import(options: argparse.Namespace) -> int:
    from vms.storage.image_store import Store

    image = Store().import_image(
        options.name,
        options.source,
        checksum=options.checksum,
        source_format=options.source_format,
        progress=_progress,
    )
    return _show_images([image], options.format)


def _remove(options: argparse.Namespace) -> int:
    from vms.storage.image_store import Store

    for name in options.names:
        Store().remove(name)
        _progress(f"removed image {name}")
    return 0


def _resize(options: argparse.Namespace) -> int:
    from vms.storage.image_store import Store

    image = Store().resize(options.name, options.size)
    return _show_images([image], options.format)


def _run(options: argparse.Namespace) -> int:
    """In the foreground: whatever ends this process ends the machine, and removes what it had."""
    import signal

    from vms import Connection
    from vms.connection.process_root import own_root
    from vms.domain import pauses
    from vms.operations import console, foreground

    if options.connect:
        raise LabError("run has its own libvirt: to have one keep the machine, use create.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        root = stack.enter_context(own_root())
        made = machine_options.machine(options, root)
        if any(each.name == made.name for each in foreground.machines()):
            raise LabError(f"There is a machine {made.name} already: choose another --name.")
        connection = stack.enter_context(Connection.open(root))
        if options.xml:
            print(connection.xml(made, connection.paths_of(made)))
            return 0
        foreground.note(root, made)
        domain = stack.enter_context(connection.start(made))
        _progress(f"{made.name} runs, {_labelled(made)}; {console.ESCAPE_NAME} ends it")
        stack.enter_context(pauses.told(domain, tell, resumes=True))
        console.attach(domain)
    return 0


def _create(options: argparse.Namespace) -> int:
    from vms import Connection, paths
    from vms.storage import machine_folders

    uri = address(options)
    if uri is None:
        raise LabError(
            "A machine that is kept needs a libvirt that stays: --connect qemu:///system, or"
            " qemu:///session; run needs none."
        )
    called = machine_options.name(options)
    with Connection.open(paths.sockets(), uri) as connection:
        if called in {each.name for each in connection.domains()}:
            raise LabError(f"There is a machine {called} already: choose another --name.")
        with machine_folders.new(called, uri, stays=not options.xml) as folder:
            made = machine_options.machine(options, folder, connection.host)
            if options.xml:
                print(connection.xml(made, connection.paths_of(made)))
                return 0
            connection.define(made)
    _progress(f"{made.name} is defined, {_labelled(made)}")
    return 0


def _list(options: argparse.Namespace) -> int:
    from vms import Connection, paths
    from vms.operations import foreground, listing

    machines = [] if options.connect else foreground.machines()
    if uri := address(options):
        with Connection.open(paths.sockets(), uri) as connection:
            machines += listing.machines(connection)
    if options.format == "json":
        print(json.dumps([asdict(each) for each in machines], indent=2))
        return 0
    rows = [
        (
            each.name,
            f"{each.state} ({each.reason})" if each.reason else each.state,
            "emulated" if each.accelerator == "tcg" else "KVM",
            str(each.vcpus),
            units.quantity(each.memory_mib * 2**20, "byte"),
            "yes" if each.starts_with_host else "",
        )
        for each in machines
    ]
    _print_table(("NAME", "STATE", "ACCELERATOR", "VCPUS", "MEMORY", "AUTOSTART"), rows)
    return 0


def _labelled(machine: vms.Machine) -> str:
    return "emulated (TCG)" if machine.accelerator.value == "tcg" else "under KVM"


def _show_images(images: Sequence[Image], form: str) -> int:
    if form == "json":
        print(json.dumps([_document(image) for image in images], indent=2))
        return 0
    rows = [
        (
            image.name,
            units.quantity(image.virtual_bytes, "byte"),
            image.digest[:19],
            image.created[:10],
            image.source,
        )
        for image in images
    ]
    _print_table(("NAME", "SIZE", "DIGEST", "CREATED", "SOURCE"), rows)
    return 0


def _document(image: Image) -> dict[str, Any]:
    return {**asdict(image), "directory": str(image.directory), "disk": str(image.disk)}


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        print("  ".join(_padded(row, widths)).rstrip())


def _padded(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    return (word.ljust(width) for word, width in zip(row, widths, strict=True))


def _progress(line: str) -> None:
    print(line, file=sys.stderr)
