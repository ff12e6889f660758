"""What `tonnage vm run` and `create` are told, as a machine."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import vms
    from vms.boot.cloudinit import Seed
    from vms.hosts import Host
    from vms.storage.image_store import Image

_SIZE = re.compile(r"(\d+)([KMGT])?(?:i?B)?", re.IGNORECASE)
_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}
_MIB = 1 << 20
_PUBLISHED = re.compile(r"(?:([0-9.]+|\[[0-9a-fA-F:]+\]):)?(\d+):(\d+)(?:/(tcp|udp))?")
_CONSOLE_WORDS = "console=ttyS0"
_CHANNELS = ("tonnage.events", "tonnage.agent")
_GUEST_AGENT = "org.qemu.guest_agent.0"


def parser() -> argparse.ArgumentParser:
    """The options that describe a machine."""
    options = argparse.ArgumentParser(add_help=False)
    add = options.add_argument
    add("image", nargs="?", metavar="IMAGE", help="of the store; or give --kernel")
    add("--name", help="default: the image's, and this process's number")
    add("--cpus", type=int, default=1, metavar="N")
    add("--memory", type=memory_mib, default=512, metavar="SIZE",
        help="such as 2G; a number alone is MiB; default: 512")  # fmt: skip
    add("--max-memory", type=memory_mib, metavar="SIZE",
        help="room for memory that is plugged in later")  # fmt: skip
    add("--disk-size", type=size, metavar="SIZE", help="of its disk; default: the image's")
    add("--disk", action="append", default=[], metavar="PATH[,OPTION=…]",
        help="one more disk: format= cache= io= read_only discard")  # fmt: skip
    add("--cdrom", action="append", default=[], type=Path, metavar="ISO",
        help="a drive with that medium; the firmware looks at disks first")  # fmt: skip
    add("--machine", choices=("q35", "i440fx", "microvm"), default="q35")
    add("--accel", choices=("auto", "kvm", "tcg"), default="auto",
        help="auto: kvm where it is proved to work, else tcg (emulated)")  # fmt: skip
    add("--uefi", action="store_true", help="OVMF instead of a BIOS")
    add("--network", action="append", metavar="KIND",
        help="user (the default), passt, none, net:NAME or bridge:INTERFACE")  # fmt: skip
    add("--mac", action="append", default=[], metavar="MAC",
        help="of a card; given again, of the next one; default: libvirt's choice")  # fmt: skip
    add("--publish", "-p", action="append", default=[], metavar="[ADDRESS:]HOST:GUEST[/udp]",
        help="a port of this host that leads to one of the machine")  # fmt: skip
    add("--volume", "-v", action="append", default=[], metavar="DIRECTORY:TAG[:ro]",
        help="what the machine mounts by its tag (virtiofs; read-only: 9p)")  # fmt: skip
    add("--ssh-key", action="append", default=[], type=Path, metavar="FILE",
        help="a public key for the image's default user (cloud-init)")  # fmt: skip
    add("--user-data", type=Path, metavar="FILE", help="for cloud-init, as it is")
    add("--network-config", type=Path, metavar="FILE", help="for cloud-init, as it is")
    add("--kernel", type=Path, metavar="FILE")
    add("--initrd", type=Path, metavar="FILE")
    add("--append", metavar="WORDS", help="the kernel's command line")
    add("--xml", action="store_true", help="print libvirt's XML of the machine, and make none")
    return options


def size(text: str) -> int:
    """Return the bytes of 512M or 20GiB; units are powers of 1,024."""
    found = _SIZE.fullmatch(text)
    if not found or not int(found[1]) or not found[2]:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write 512M or 20G")
    return int(found[1]) << _UNITS[found[2].upper()]


def memory_mib(text: str) -> int:
    """Return the MiB of 2G, or of a number alone, which is MiB as in virsh and virt-install."""
    found = size(f"{text}M" if text.isdecimal() else text)
    if found % _MIB:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of MiB: write 512M or 2G")
    return found // _MIB


def name(options: argparse.Namespace) -> str:
    """Return what the machine is called. Raises MachineError for what none may be."""
    from vms.description import names as named

    number = f"-{os.getpid()}"
    image = (options.image or "machine")[: named.LONGEST - len(number)]
    chosen = f"{image}{number}" if options.name is None else str(options.name)
    named.refuse(chosen)
    return chosen


def machine(options: argparse.Namespace, folder: Path, host: Host | None = None) -> vms.Machine:
    """The machine; its clone and its seed are made in the folder. Raises LabError, MachineError.

    On another host its files are named by their whole paths there, and none is made.
    """
    import vms
    from vms.hosts import HERE
    from vms.storage.image_store import Store

    called = name(options)
    _name_kernel(host or HERE, options)
    if host and not host.is_here:
        _refuse_files_from_here(options, host)
    image = Store().find(options.image) if options.image else None
    if image is None and not (options.kernel or options.disk or options.cdrom):
        raise LabError("Name an image (tonnage vm images), a --disk, a --cdrom or a --kernel.")
    accelerator = _accelerator(options, image)
    made = vms.Machine(
        name=called,
        vcpus=options.cpus,
        memory_mib=options.memory,
        memory=vms.Memory(options.max_memory),
        accelerator=accelerator,
        chipset=options.machine,
        boot=_boot(options, image, accelerator, folder),
        disks=(),
        channels=(*_CHANNELS, _GUEST_AGENT) if image and image.kernel else (_GUEST_AGENT,),
        cdroms=tuple(_cdroms(options, folder)),
        networks=tuple(_addressed(list(_networks(options)), options.mac)),
        balloon=vms.Balloon(),
        rng=vms.Rng(),
        shares=tuple(_shares(options, image, folder)),
        on_reboot="restart",
    )
    made = replace(made, disks=tuple(_disks(options, image, folder, called)))
    made.check_fields()
    return made


def _refuse_files_from_here(options: argparse.Namespace, host: Host) -> None:
    """Refuse what a machine on another host would need of this one. Raises LabError."""
    for option, given in {
        "an image of this host's store": options.image,
        "--ssh-key": options.ssh_key,
        "--user-data": options.user_data,
        "--network-config": options.network_config,
    }.items():
        if given:
            raise LabError(
                f"{host.address} leads to another host, and {option} makes files on this one: run"
                " tonnage on that host, or name files that it has (--disk, --kernel)."
            )
    for word in (*options.disk, *options.volume, *options.cdrom):
        host.path(Path(word))
    if options.accel == "auto":
        raise LabError(
            f"--accel auto tries this host's KVM, and {host.address} leads to another: give"
            " --accel kvm or tcg."
        )


def _name_kernel(host: Host, options: argparse.Namespace) -> None:
    """Name the kernel and what goes with it by whole paths, as libvirt takes them."""
    for option in ("kernel", "initrd"):
        if path := getattr(options, option):
            setattr(options, option, host.path(path))


def _boot(
    options: argparse.Namespace,
    image: Image | None,
    accelerator: vms.Accelerator,
    folder: Path,
) -> vms.DirectKernel | vms.Firmware:
    import vms
    from vms.description import identity
    from vms.qemu import acceleration

    firmware = vms.Firmware("uefi" if options.uefi else "bios")
    kernel, initrd, words = *_boot_files(options, folder), options.append
    if kernel is None and image and image.kernel:
        kernel, initrd = image.kernel, image.initrd
        words = words or image.command_line
    if kernel is None:
        if initrd or words:
            raise LabError("--initrd and --append go with a --kernel.")
        return firmware
    words = _CONSOLE_WORDS if words is None else words
    if image and kernel == image.kernel:
        words = f"{words} {identity.words(name(options))}"
    if accelerator is vms.Accelerator.TCG:
        words = f"{words} {acceleration.kernel_words()}".rstrip()
    return vms.DirectKernel(_runnable(kernel, accelerator, folder), initrd, words, firmware)


def _boot_files(options: argparse.Namespace, folder: Path) -> tuple[Path | None, Path | None]:
    """Return --kernel and --initrd by whole paths: QEMU runs in another directory."""
    kernel, initrd = (
        path and _expressible(path.absolute(), folder) for path in (options.kernel, options.initrd)
    )
    return kernel, initrd


def _disks(
    options: argparse.Namespace, image: Image | None, folder: Path, hostname: str
) -> Iterator[vms.Disk]:
    import vms
    from vms.boot import cloudinit
    from vms.storage import disks

    seed = _seed(options, image, hostname)
    if image:
        clone = folder / "disk.qcow2"
        disks.clone(image.disk, clone, options.disk_size)
        yield vms.Disk(clone, discard=True)
    for word in options.disk:
        disk = _disk(word)
        yield replace(disk, path=_expressible(disk.path, folder))
    if seed:
        path = folder / "seed.iso"
        cloudinit.write_seed(seed, path)
        yield vms.Disk(path, format="raw", read_only=True)


def _seed(options: argparse.Namespace, image: Image | None, hostname: str) -> Seed | None:
    """What cloud-init is told; None where nothing is, and no cloud image looks for it."""
    from vms.boot import cloudinit, ssh_keys

    has_cloud_init = image is None or image.kernel is None
    asked = options.ssh_key or options.user_data or options.network_config
    if asked and image and not has_cloud_init:
        raise LabError(
            f"{image.name} has no cloud-init, which --ssh-key, --user-data and --network-config are"
            " for: import a cloud image; tonnage vm exec and console lead into this one."
        )
    if not (asked or (image and has_cloud_init)):
        return None
    keys = [ssh_keys.public_keys(_text(path), str(path)) for path in options.ssh_key]
    told: dict[str, bytes] = {}
    if options.user_data:
        told["user_data"] = _bytes(options.user_data)
    if options.network_config:
        told["network_config"] = _bytes(options.network_config)
    return cloudinit.Seed(hostname, tuple(key for each in keys for key in each), **told)  # type: ignore[arg-type]


def _disk(word: str) -> vms.Disk:
    """A disk from PATH,cache=none,read_only; fields are checked where all are."""
    import vms

    path, rest = _with_path(word, ",")
    told: dict[str, object] = {}
    for each in rest.split(",") if rest else ():
        key, _, value = each.partition("=")
        if key not in {"format", "cache", "io", "read_only", "discard", "serial"}:
            raise LabError(f"A disk has no {key!r}: format, cache, io, serial, read_only, discard.")
        told[key] = value or True
    return vms.Disk(Path(path).absolute(), **told)  # type: ignore[arg-type]


def _with_path(word: str, separator: str) -> tuple[str, str]:
    """Return the path that a word begins with and the rest; a path may hold the separator.

    The longest that is there is the path, else what comes before the first separator.
    """
    parts = word.split(separator)
    for count in range(len(parts), 0, -1):
        path = separator.join(parts[:count])
        if count == 1 or Path(path).exists():
            return path, separator.join(parts[count:])
    return word, ""


def _networks(options: argparse.Namespace) -> Iterator[vms.description.Network]:
    import vms

    forwards = tuple(_forward(word) for word in options.publish)
    kinds = options.network or ["user"]
    if forwards and not {"user", "passt"} & set(kinds):
        raise LabError("--publish needs --network user or passt.")
    for kind in kinds:
        what, _, named = kind.partition(":")
        if kind == "user":
            yield vms.UserNetwork(forwards)
        elif kind == "passt":
            yield vms.UserNetwork(forwards, backend="passt")
        elif what == "net" and named:
            yield vms.LibvirtNetwork(named)
        elif what == "bridge" and named:
            yield vms.HostBridge(named)
        elif kind != "none":
            raise LabError(
                f"There is no network {kind!r}: user, passt, none, net:NAME, bridge:INTERFACE."
            )


def _addressed(
    cards: Sequence[vms.description.Network], addresses: Sequence[str]
) -> Iterator[vms.description.Network]:
    """The cards with the addresses that were given, in order."""
    if len(addresses) > len(cards):
        raise LabError(f"--mac is given {len(addresses)} times for {len(cards)} --network.")
    for number, card in enumerate(cards):
        yield replace(card, mac=addresses[number]) if number < len(addresses) else card


def _cdroms(options: argparse.Namespace, folder: Path) -> Iterator[vms.Cdrom]:
    import vms

    for path in options.cdrom:
        yield vms.Cdrom(_expressible(path.absolute(), folder))


def _forward(word: str) -> vms.Forward:
    import vms

    found = _PUBLISHED.fullmatch(word)
    if not found:
        raise LabError(f"{word!r} is no port to publish: 8080:80, 127.0.0.1:8080:80/tcp.")
    address = (found[1] or "127.0.0.1").strip("[]")
    return vms.Forward(int(found[2]), int(found[3]), "udp" if found[4] == "udp" else "tcp", address)


def _expressible(path: Path, folder: Path) -> Path:
    """Return the path, or a link to it where libvirt's XML can't hold it."""
    from vms.description.constraints import fits_xml

    if fits_xml(path):
        return path
    link = folder / f"path-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"
    link.symlink_to(path)
    return link


def _shares(options: argparse.Namespace, image: Image | None, folder: Path) -> Iterator[vms.Share]:
    for word in options.volume:
        share = _share(word, options.machine)
        if image and image.kernel and not options.kernel and share.driver not in image.shares:
            others = ", ".join(image.shares) or "none"
            raise LabError(
                f"--volume {word}: the kernel of image {image.name} mounts no {share.driver}"
                f" ({others}), which read-only directories and a microvm need: leave :ro out on a"
                " q35, or import a cloud image."
            )
        yield replace(share, directory=_expressible(share.directory, folder))


def _share(word: str, chipset: str) -> vms.Share:
    import vms

    directory, rest = _with_path(word, ":")
    tag, _, mode = rest.partition(":")
    if not tag or mode not in {"", "ro", "rw"}:
        raise LabError(f"{word!r} is no volume: DIRECTORY:TAG or DIRECTORY:TAG:ro.")
    read_only = mode == "ro"
    old = read_only or chipset == "microvm"
    return vms.Share(Path(directory).absolute(), tag, "9p" if old else "virtiofs", read_only)


def _accelerator(options: argparse.Namespace, image: Image | None) -> vms.Accelerator:
    """Which one; auto is KVM only for what this host's KVM runs."""
    import vms
    from lab.host import kvm
    from lab.userland import kvm_probe

    if options.accel != "auto":
        return vms.Accelerator(options.accel)
    has_kernel = bool(options.kernel or (image and image.kernel))
    if kvm_probe.accelerator(lambda _: None) == "tcg" or (
        kvm.needs_pvh() and (options.uefi or not has_kernel)
    ):
        return vms.Accelerator.TCG
    return vms.Accelerator.KVM


def _runnable(kernel: Path, accelerator: vms.Accelerator, folder: Path) -> Path:
    """The kernel in the form that the accelerator runs here, unpacked in the machine's folder."""
    import vms
    from lab.host import kvm
    from vms.boot.kernel import is_uncompressed, uncompress

    if accelerator is vms.Accelerator.TCG or not kvm.needs_pvh() or is_uncompressed(kernel):
        return kernel
    unpacked = folder / "vmlinux"
    uncompress(kernel, unpacked)
    return unpacked


def _text(path: Path) -> str:
    """A file's text; what is no UTF-8 in it, as in a key's comment, is replaced."""
    return _bytes(path).decode(errors="replace")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise LabError(f"Can't read {path}: {error.strerror}.") from error
