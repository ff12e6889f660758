"""`tonnage vm`: devices, CPUs and memory, changed while the machine runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli.vm.machine_options import memory_mib
from lab.cli.vm.shared import add_machine_verb

if TYPE_CHECKING:
    import argparse

    import vms
    from lab.cli.vm.shared import Subparsers


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add the verbs that attach, detach and resize."""
    _register_devices(verbs, common)
    _register_sizes(verbs, common)


def _register_devices(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    parser = add_machine_verb(verbs, common, "attach-disk", _attach_disk, "attach a disk")
    parser.add_argument("path", type=Path, metavar="PATH", help="the disk's file or block device")
    parser.add_argument(
        "--disk-format",
        choices=("qcow2", "raw"),
        default="qcow2",
        help="the format of the disk; default: qcow2",
    )
    parser = add_machine_verb(verbs, common, "detach-disk", _detach_disk, "detach a disk")
    parser.add_argument("target", metavar="TARGET", help="the disk's name, such as vdb")
    parser = add_machine_verb(
        verbs, common, "attach-interface", _attach_interface, "attach a network card"
    )
    parser.add_argument(
        "--network", metavar="NAME", help="a network of libvirt; default: user-mode networking"
    )
    parser.add_argument(
        "--mac", metavar="MAC", help="the card's MAC address; default: libvirt chooses it"
    )
    parser = add_machine_verb(
        verbs, common, "detach-interface", _detach_interface, "detach a network card"
    )
    parser.add_argument("mac", metavar="MAC", help="the card's MAC address")


def _register_sizes(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    parser = add_machine_verb(verbs, common, "setvcpus", _setvcpus, "change the number of vCPUs")
    parser.add_argument("count", type=int, metavar="COUNT", help="the new number of vCPUs")
    parser = add_machine_verb(
        verbs, common, "setmem", _setmem, "change the memory size by the balloon device"
    )
    parser.add_argument(
        "mib", type=memory_mib, metavar="SIZE", help="such as 2G; a plain number is MiB"
    )
    parser = add_machine_verb(
        verbs, common, "attach-memory", _attach_memory, "attach a memory module"
    )
    parser.add_argument(
        "mib", type=memory_mib, metavar="SIZE", help="a multiple of 128 MiB; a plain number is MiB"
    )
    parser = add_machine_verb(
        verbs, common, "detach-memory", _detach_memory, "detach a memory module"
    )
    parser.add_argument("module", metavar="MODULE", help="the module's name, such as dimm0")
    parser = add_machine_verb(verbs, common, "blockresize", _blockresize, "enlarge a disk")
    parser.add_argument("target", metavar="TARGET", help="the disk's name, such as vda")
    parser.add_argument("mib", type=int, metavar="MIB", help="the new size in MiB")


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
