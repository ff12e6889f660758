"""`tonnage vm`: images, and machines created from them."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lab import units
from lab.cli import argument_types
from lab.cli.vm import machine_description, machine_options
from lab.cli.vm.inside import print_beside_console
from lab.cli.vm.several import for_each
from lab.cli.vm.shared import add_verb, keys_of, libvirt_uri, print_rows
from lab.errors import AlreadyExists, InvalidConfig
from lab.language.message import Message, recalled

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import vms
    from lab.cli.vm.shared import Subparsers
    from vms.operations.listing import ListedMachine
    from vms.storage.image_store import Image

_DEFAULT_IMAGE = "debian"
_SHELL_WORDS = "systemd.wants=tonnage-console.service"  # the unit is in lab/workloads/guest


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add build, image, images, create, run and list."""
    text = "build an image with the same user land as the containers' image"
    parser = add_verb(verbs, (common,), "build", _build, text)
    parser.add_argument(
        "name",
        nargs="?",
        default=_DEFAULT_IMAGE,
        metavar="NAME",
        help=f"the image's name; default: {_DEFAULT_IMAGE}",
    )
    add_verb(verbs, (common,), "images", _images, "list images; the same as image list")
    text = "import, list, remove or resize images"
    parser = verbs.add_parser("image", help=text, description=f"{text.capitalize()}.")
    _register_image(parser.add_subparsers(metavar="VERB", required=True), common)
    parents = (common, machine_options.parser())
    text = "run a machine in the foreground with its console, and remove it when it ends"
    add_verb(verbs, parents, "run", _run, text)
    text = "create a machine in a libvirt daemon; needs --connect"
    add_verb(verbs, parents, "create", _create, text)
    add_verb(verbs, (common,), "list", _list, "list machines, running or not")


def _register_image(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    add_verb(verbs, (common,), "list", _images, "list images")
    parser = add_verb(verbs, (common,), "import", _import, "import a cloud image")
    parser.add_argument("name", metavar="NAME", help="the new image's name")
    parser.add_argument("source", metavar="PATH|URL", help="the disk image to import")
    parser.add_argument(
        "--checksum",
        metavar="SHA256",
        help="the expected checksum, sha256:… or sha512:…; required for a URL",
    )
    parser.add_argument(
        "--source-format",
        choices=("qcow2", "raw"),
        default="qcow2",
        help="the format of the source; default: qcow2",
    )
    parser = add_verb(verbs, (common,), "remove", _remove, "remove unused images")
    parser.add_argument("names", nargs="+", metavar="NAME", help="names of images")
    parser = add_verb(verbs, (common,), "resize", _resize, "enlarge an image's disk")
    parser.add_argument("name", metavar="NAME", help="the image's name")
    parser.add_argument("size", type=argument_types.size, metavar="SIZE", help="such as 20G")


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
    return _print_images([image], options)


def _images(options: argparse.Namespace) -> int:
    from vms.storage.image_store import Store

    return _print_images(Store().images(), options)


def _import(options: argparse.Namespace) -> int:
    from vms.storage.image_store import Store

    image = Store().import_image(
        options.name,
        options.source,
        checksum=options.checksum,
        source_format=options.source_format,
        progress=_progress,
    )
    return _print_images([image], options)


def _remove(options: argparse.Namespace) -> int:
    from vms.storage.image_store import Store

    def remove(name: str) -> None:
        Store().remove(name)
        _progress(f"removed image {name}")

    return for_each(options.names, remove)


def _resize(options: argparse.Namespace) -> int:
    from vms.storage.image_store import Store

    image = Store().resize(options.name, options.size)
    return _print_images([image], options)


def _run(options: argparse.Namespace) -> int:
    """Run a machine in the foreground. It ends with this process, and its files are removed."""
    import signal

    from vms import Connection
    from vms.connection.process_root import own_root
    from vms.domain import pauses
    from vms.operations import console, foreground, listing

    if options.connect:
        raise InvalidConfig(
            "run uses its own libvirt and takes no --connect: to create a machine in a libvirt"
            " daemon, use create."
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        root = stack.enter_context(own_root())
        machine = machine_description.machine(options, root)
        if any(each.name == machine.name for each in listing.foreground_machines()):
            raise _in_use(machine.name)
        connection = stack.enter_context(Connection.open(root))
        if options.xml:
            print(connection.xml(machine, connection.paths_of(machine)))
            return 0
        foreground.note_forwards(root, machine)
        domain = stack.enter_context(connection.start(machine))
        _progress(
            f"{machine.name} is running, {_accelerator(machine)}; {console.ESCAPE_NAME} ends it"
        )
        stack.enter_context(pauses.reported(domain, print_beside_console, resumes=True))
        console.attach(domain)
    return 0


def _create(options: argparse.Namespace) -> int:
    from vms import Connection, paths
    from vms.storage import machine_folders

    uri = libvirt_uri(options)
    if uri is None:
        raise InvalidConfig(
            "create needs a libvirt daemon that keeps the machine: pass --connect qemu:///system or"
            " qemu:///session. To run a machine without one, use run."
        )
    name = machine_options.name(options)
    with Connection.open(paths.sockets(), uri) as connection:
        if name in {each.name for each in connection.domains()}:
            raise _in_use(name)
        with machine_folders.new(name, uri, stays=not options.xml) as folder:
            machine = machine_description.machine(options, folder, connection.host)
            if options.xml:
                print(connection.xml(machine, connection.paths_of(machine)))
                return 0
            connection.define(machine)
    _progress(f"{machine.name} is defined, {_accelerator(machine)}")
    return 0


def _list(options: argparse.Namespace) -> int:
    from vms import Connection, paths
    from vms.operations import listing

    machines = [] if options.connect else listing.foreground_machines()
    if uri := libvirt_uri(options):
        with Connection.open(paths.sockets(), uri) as connection:
            machines += listing.machines(connection)
    rows = [
        (
            each.name,
            _state(each),
            Message("emulated") if each.accelerator == "tcg" else "KVM",
            str(each.vcpus),
            units.quantity(each.memory_mib * 2**20, "byte"),
            Message("yes") if each.starts_with_host else "",
        )
        for each in machines
    ]
    headings = (
        Message("NAME"),
        Message("STATE"),
        Message("ACCELERATOR"),
        Message("VCPUS"),
        Message("MEMORY"),
        Message("AUTOSTART"),
    )
    keys = keys_of(listing.ListedMachine)
    return print_rows(options, keys, [asdict(each) for each in machines], headings, rows)


def _in_use(name: str) -> AlreadyExists:
    return AlreadyExists(f"A machine named {name} exists already: choose another --name.")


def _accelerator(machine: vms.Machine) -> str:
    return "emulated (TCG)" if machine.accelerator.value == "tcg" else "under KVM"


def _state(machine: ListedMachine) -> str:
    state = recalled(machine.state)
    if not machine.reason:
        return state
    return Message("{state} ({reason})", state=state, reason=recalled(machine.reason))


def _print_images(images: Sequence[Image], options: argparse.Namespace) -> int:
    from vms.storage import image_store

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
    headings = (
        Message("NAME"),
        Message("SIZE"),
        Message("DIGEST"),
        Message("CREATED"),
        Message("SOURCE"),
    )
    keys = [*keys_of(image_store.Image), "disk"]
    return print_rows(options, keys, [_document(each) for each in images], headings, rows)


def _document(image: Image) -> dict[str, Any]:
    return {**asdict(image), "directory": str(image.directory), "disk": str(image.disk)}


def _progress(line: str) -> None:
    print(line, file=sys.stderr)
