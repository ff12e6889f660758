"""The options that describe a machine for `tonnage vm run` and `create`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from lab.cli import argument_types

_MIB = 1 << 20


def parser() -> argparse.ArgumentParser:
    """Return the parent parser with the options that describe a machine."""
    options = argparse.ArgumentParser(add_help=False)
    add = options.add_argument
    add(
        "image",
        nargs="?",
        metavar="IMAGE",
        help="an image of the store (tonnage vm images); or give --disk, --cdrom or --kernel",
    )
    add("--name", help="the machine's name; default: the image's name and this process's number")
    add("--cpus", type=int, default=1, metavar="N", help="number of vCPUs; default: 1")
    add(
        "--memory",
        type=memory_mib,
        default=512,
        metavar="SIZE",
        help="memory, such as 2G; a plain number is MiB; default: 512",
    )
    add(
        "--max-memory",
        type=memory_mib,
        metavar="SIZE",
        help="upper limit for memory modules that are attached later",
    )
    add(
        "--disk-size",
        type=argument_types.size,
        metavar="SIZE",
        help="size of the disk made from the image; default: the image's",
    )
    add(
        "--disk",
        action="append",
        default=[],
        metavar="PATH[,OPTION=…]",
        help="add a disk; options: format= cache= io= serial= read_only discard; repeatable",
    )
    add(
        "--cdrom",
        action="append",
        default=[],
        type=Path,
        metavar="ISO",
        help="add a drive with an ISO; the firmware boots from disks first; repeatable",
    )
    add(
        "--machine",
        choices=("q35", "i440fx", "microvm"),
        default="q35",
        help="the machine type; default: q35",
    )
    add(
        "--accel",
        choices=("auto", "kvm", "tcg"),
        default="auto",
        help="kvm, or tcg (emulation); auto, the default, uses kvm if a test guest runs under it",
    )
    add("--uefi", action="store_true", help="boot with UEFI (OVMF) instead of a BIOS")
    add(
        "--network",
        action="append",
        metavar="KIND",
        help="add a network card: user (the default), passt, none, net:NAME (a network of libvirt)"
        " or bridge:INTERFACE; repeatable",
    )
    add(
        "--mac",
        action="append",
        default=[],
        metavar="MAC",
        help="MAC address of a card, in the order of --network; default: libvirt chooses it",
    )
    add(
        "--publish",
        "-p",
        action="append",
        default=[],
        metavar="[ADDRESS:]HOST:GUEST[/udp]",
        help="forward a port of this host to a port of the machine; repeatable",
    )
    add(
        "--volume",
        "-v",
        action="append",
        default=[],
        metavar="DIRECTORY:TAG[:ro]",
        help="share a directory, which the guest mounts by its tag (virtiofs; 9p if read-only or"
        " on a microvm); repeatable",
    )
    add(
        "--ssh-key",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a public key for the image's default user, by cloud-init; repeatable",
    )
    add("--user-data", type=Path, metavar="FILE", help="user data for cloud-init")
    add("--network-config", type=Path, metavar="FILE", help="network configuration for cloud-init")
    add("--kernel", type=Path, metavar="FILE", help="boot this kernel, without firmware")
    add("--initrd", type=Path, metavar="FILE", help="the initial RAM disk for --kernel")
    add("--append", metavar="WORDS", help="the command line for --kernel or the image's kernel")
    add("--xml", action="store_true", help="print the machine's libvirt XML and create nothing")
    return options


def memory_mib(text: str) -> int:
    """Return the MiB of a size such as 2G; a plain number is MiB, as in virsh and virt-install."""
    size_bytes = argument_types.size(f"{text}M" if text.isdecimal() else text)
    if size_bytes % _MIB:
        raise argparse.ArgumentTypeError(f"{text!r} is not a multiple of 1 MiB: write 512M or 2G")
    return size_bytes // _MIB


def name(options: argparse.Namespace) -> str:
    """Return the machine's name. Raise MachineError if it is not a valid name."""
    from vms.description import names

    number = f"-{os.getpid()}"
    image = (options.image or "machine")[: names.LONGEST - len(number)]
    chosen = f"{image}{number}" if options.name is None else str(options.name)
    names.refuse(chosen)
    return chosen
