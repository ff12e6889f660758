"""`tonnage vm`: what a machine is made of, changed while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.vm.machine_options import memory_mib
from lab.cli.vm.shared import one

if TYPE_CHECKING:
    import argparse

    import vms
    from lab.cli.vm.shared import Subparsers


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add attaching, detaching and resizing."""
    parser = one(verbs, common, "attach-disk", _attach_disk, "plug a disk in")
    parser.add_argument("path", type=Path, metavar="PATH")
    parser.add_argument("--disk-format", choices=("qcow2", "raw"), default="qcow2")
    one(verbs, common, "detach-disk", _detach_disk, "unplug a disk").add_argument(
        "target", metavar="TARGET", help="such as vdb"
    )
    parser = one(verbs, common, "attach-interface", _attach_interface, "plug a card in")
    parser.add_argument("--network", metavar="NAME", help="one of libvirt's; default: user mode")
    parser.add_argument("--mac", metavar="MAC", help="its address; default: libvirt's choice")
    one(verbs, common, "detach-interface", _detach_interface, "unplug a card").add_argument(
        "mac", metavar="MAC"
    )
    one(verbs, common, "setvcpus", _setvcpus, "change the number of vCPUs").add_argument(
        "count", type=int, metavar="COUNT"
    )
    one(verbs, common, "setmem", _setmem, "change the memory, by the balloon").add_argument(
        "mib", type=memory_mib, metavar="SIZE", help="such as 2G; a number alone is MiB"
    )
    parser = one(verbs, common, "attach-memory", _attach_memory, "plug a memory module in")
    parser.add_argument(
        "mib", type=memory_mib, metavar="SIZE", help="a multiple of 128 MiB; a number alone is MiB"
    )
    one(verbs, common, "detach-memory", _detach_memory, "unplug a memory module").add_argument(
        "module", metavar="MODULE", help="such as dimm0"
    )
    parser = one(verbs, common, "blockresize", _blockresize, "make a disk larger")
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument("mib", type=int, metavar="MIB")


def _attach_disk(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms import Disk
    from vms.operations import hotplug

    disk = Disk(connection.host.path(options.path), options.disk_format)
    print(hotplug.attach_disk(connection, connection.find(options.name), disk))
    return 0


def _detach_disk(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import hotplug

    hotplug.detach_disk(connection.find(options.name), options.target)
    return 0


def _attach_interface(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms import LibvirtNetwork, UserNetwork
    from vms.operations import hotplug

    network = (
        LibvirtNetwork(options.network, options.mac)
        if options.network
        else UserNetwork(mac=options.mac)
    )
    print(hotplug.attach_interface(connection.find(options.name), network))
    return 0


def _detach_interface(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import hotplug

    hotplug.detach_interface(connection.find(options.name), options.mac)
    return 0


def _setvcpus(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import hotplug

    hotplug.set_vcpus(connection.find(options.name), options.count)
    return 0


def _setmem(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import hotplug

    hotplug.set_memory(connection.find(options.name), options.mib)
    return 0


def _attach_memory(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import hotplug

    print(hotplug.attach_memory(connection.find(options.name), options.mib))
    return 0


def _detach_memory(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import hotplug

    hotplug.detach_memory(connection.find(options.name), options.module)
    return 0


def _blockresize(options: argparse.Namespace, connection: vms.Connection) -> int:
    from vms.operations import hotplug

    hotplug.resize_disk(connection.find(options.name), options.target, options.mib << 20)
    return 0
