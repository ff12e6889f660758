"""The machine that the options of `tonnage vm run` and `create` describe."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.cli.vm.machine_options import name
from lab.errors import InvalidConfig

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    import vms
    from vms.boot.cloudinit import Seed
    from vms.hosts import Host
    from vms.storage.image_store import Image

_PUBLISHED = re.compile(r"(?:([0-9.]+|\[[0-9a-fA-F:]+\]):)?(\d+):(\d+)(?:/(tcp|udp))?")
_CONSOLE = "console=ttyS0"
_GUEST_AGENT = "org.qemu.guest_agent.0"


def machine(options: argparse.Namespace, folder: Path, host: Host | None = None) -> vms.Machine:
    """Return the machine, with its disk and its cloud-init seed created in the folder.

    For another host, files are given by their absolute paths there and nothing is created. Raise
    InvalidConfig or MachineError for options that describe no machine.
    """
    import vms
    from vms.guest.payload_protocol import AGENT_CHANNEL, EVENTS_CHANNEL
    from vms.hosts import HERE
    from vms.storage.image_store import Store

    machine_name = name(options)
    _resolve_kernel(host or HERE, options)
    if host and not host.is_here:
        _refuse_local_files(options, host)
    image = Store().find(options.image) if options.image else None
    if image is None and not (options.kernel or options.disk or options.cdrom):
        raise InvalidConfig(
            "Give an image (tonnage vm images lists them), --disk, --cdrom or --kernel."
        )
    accelerator = _accelerator(options, image)
    payload_channels = (EVENTS_CHANNEL, AGENT_CHANNEL) if image and image.kernel else ()
    described = vms.Machine(
        name=machine_name,
        vcpus=options.cpus,
        memory_mib=options.memory,
        memory=vms.Memory(options.max_memory),
        accelerator=accelerator,
        chipset=options.machine,
        boot=_boot(options, image, accelerator, folder),
        disks=(),
        channels=(*payload_channels, _GUEST_AGENT),
        cdroms=tuple(_cdroms(options, folder)),
        networks=tuple(_with_addresses(list(_networks(options)), options.mac)),
        balloon=vms.Balloon(),
        rng=vms.Rng(),
        shares=tuple(_shares(options, image, folder)),
        on_reboot="restart",
    )
    described = replace(described, disks=tuple(_disks(options, image, folder, machine_name)))
    described.check_fields()
    return described


def _refuse_local_files(options: argparse.Namespace, host: Host) -> None:
    """Raise InvalidConfig if a machine on another host would need files of this host."""
    for option, given in {
        "an image of this host's store": options.image,
        "--ssh-key": options.ssh_key,
        "--user-data": options.user_data,
        "--network-config": options.network_config,
    }.items():
        if given:
            raise InvalidConfig(
                f"{host.address} leads to another host, and {option} needs files of this host: run"
                " tonnage on that host, or use files that it has (--disk, --kernel)."
            )
    for word in (*options.disk, *options.volume, *options.cdrom):
        host.path(Path(word))
    if options.accel == "auto":
        raise InvalidConfig(
            f"--accel auto tests the KVM of this host, but {host.address} leads to another host:"
            " pass --accel kvm or --accel tcg."
        )


def _resolve_kernel(host: Host, options: argparse.Namespace) -> None:
    """Make the paths of kernel and initrd absolute, as libvirt requires."""
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
    kernel, initrd, command_line = *_boot_files(options, folder), options.append
    if kernel is None and image and image.kernel:
        kernel, initrd = image.kernel, image.initrd
        command_line = command_line or image.command_line
    if kernel is None:
        if initrd or command_line:
            raise InvalidConfig("--initrd and --append need --kernel or an image with a kernel.")
        return firmware
    command_line = _CONSOLE if command_line is None else command_line
    if image and kernel == image.kernel:
        command_line = f"{command_line} {identity.words(name(options))}"
    if accelerator is vms.Accelerator.TCG:
        command_line = f"{command_line} {acceleration.kernel_words()}".rstrip()
    return vms.DirectKernel(_runnable(kernel, accelerator, folder), initrd, command_line, firmware)


def _boot_files(options: argparse.Namespace, folder: Path) -> tuple[Path | None, Path | None]:
    """Return absolute paths of --kernel and --initrd, since QEMU runs in another directory."""
    kernel, initrd = (
        path and _xml_safe(path.absolute(), folder) for path in (options.kernel, options.initrd)
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
        yield replace(disk, path=_xml_safe(disk.path, folder))
    if seed:
        path = folder / "seed.iso"
        cloudinit.write_seed(seed, path)
        yield vms.Disk(path, format="raw", read_only=True)


def _seed(options: argparse.Namespace, image: Image | None, hostname: str) -> Seed | None:
    """Return cloud-init's seed; None if there is nothing to configure and no cloud image."""
    from vms.boot import cloudinit, ssh_keys

    has_cloud_init = image is None or image.kernel is None
    configures = options.ssh_key or options.user_data or options.network_config
    if configures and image and not has_cloud_init:
        raise InvalidConfig(
            f"--ssh-key, --user-data and --network-config need cloud-init, which image {image.name}"
            " does not have: import a cloud image, or enter this one by tonnage vm exec or console."
        )
    if not (configures or (image and has_cloud_init)):
        return None
    keys = [ssh_keys.public_keys(_text(path), str(path)) for path in options.ssh_key]
    files: dict[str, bytes] = {}
    if options.user_data:
        files["user_data"] = _bytes(options.user_data)
    if options.network_config:
        files["network_config"] = _bytes(options.network_config)
    return cloudinit.Seed(hostname, tuple(key for each in keys for key in each), **files)  # type: ignore[arg-type]


def _disk(word: str) -> vms.Disk:
    """Return the disk of a word such as PATH,cache=none,read_only; `check_fields` checks values."""
    import vms

    path, rest = _split_path(word, ",")
    fields: dict[str, object] = {}
    for each in rest.split(",") if rest else ():
        key, _, value = each.partition("=")
        if key not in {"format", "cache", "io", "read_only", "discard", "serial"}:
            raise InvalidConfig(
                f"--disk: there is no option {key!r}; there are format, cache, io, serial,"
                " read_only and discard."
            )
        fields[key] = value or True
    return vms.Disk(Path(path).absolute(), **fields)  # type: ignore[arg-type]


def _split_path(word: str, separator: str) -> tuple[str, str]:
    """Split a word into the path that it begins with, which may hold the separator, and the rest.

    The path is the longest prefix that exists, else the text before the first separator.
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
        raise InvalidConfig("--publish needs --network user or --network passt.")
    for kind in kinds:
        kind_of, _, target = kind.partition(":")
        if kind == "user":
            yield vms.UserNetwork(forwards)
        elif kind == "passt":
            yield vms.UserNetwork(forwards, backend="passt")
        elif kind_of == "net" and target:
            yield vms.LibvirtNetwork(target)
        elif kind_of == "bridge" and target:
            yield vms.HostBridge(target)
        elif kind != "none":
            raise InvalidConfig(
                f"--network: there is no kind {kind!r}; there are user, passt, none, net:NAME and"
                " bridge:INTERFACE."
            )


def _with_addresses(
    cards: Sequence[vms.description.Network], addresses: Sequence[str]
) -> Iterator[vms.description.Network]:
    """Yield the cards with the given MAC addresses, in order."""
    if len(addresses) > len(cards):
        raise InvalidConfig(
            f"--mac is given {len(addresses)} times, but there are only {len(cards)} network cards."
        )
    for number, card in enumerate(cards):
        yield replace(card, mac=addresses[number]) if number < len(addresses) else card


def _cdroms(options: argparse.Namespace, folder: Path) -> Iterator[vms.Cdrom]:
    import vms

    for path in options.cdrom:
        yield vms.Cdrom(_xml_safe(path.absolute(), folder))


def _forward(word: str) -> vms.Forward:
    import vms

    match = _PUBLISHED.fullmatch(word)
    if not match:
        raise InvalidConfig(
            f"--publish: {word!r} is not a port mapping: write 8080:80 or 127.0.0.1:8080:80/tcp."
        )
    address = (match[1] or "127.0.0.1").strip("[]")
    return vms.Forward(int(match[2]), int(match[3]), "udp" if match[4] == "udp" else "tcp", address)


def _xml_safe(path: Path, folder: Path) -> Path:
    """Return the path, or a link to it if XML can't express the path."""
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
            supported = ", ".join(image.shares) or "none"
            raise InvalidConfig(
                f"--volume {word}: read-only directories and a microvm need {share.driver}, which"
                f" the kernel of image {image.name} can't mount (it can: {supported}). Leave out"
                " :ro on a q35, or import a cloud image."
            )
        yield replace(share, directory=_xml_safe(share.directory, folder))


def _share(word: str, chipset: str) -> vms.Share:
    import vms

    directory, rest = _split_path(word, ":")
    tag, _, mode = rest.partition(":")
    if not tag or mode not in {"", "ro", "rw"}:
        raise InvalidConfig(
            f"--volume: {word!r} is not a volume: write DIRECTORY:TAG or DIRECTORY:TAG:ro."
        )
    read_only = mode == "ro"
    is_9p = read_only or chipset == "microvm"
    driver: Literal["9p", "virtiofs"] = "9p" if is_9p else "virtiofs"
    return vms.Share(Path(directory).absolute(), tag, driver, read_only)


def _accelerator(options: argparse.Namespace, image: Image | None) -> vms.Accelerator:
    """Return the accelerator; auto chooses KVM only if this host's KVM can boot the machine."""
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
    """Return the kernel, uncompressed into the folder if this host's KVM requires that."""
    import vms
    from lab.host import kvm
    from vms.boot.kernel import is_uncompressed, uncompress

    if accelerator is vms.Accelerator.TCG or not kvm.needs_pvh() or is_uncompressed(kernel):
        return kernel
    unpacked = folder / "vmlinux"
    uncompress(kernel, unpacked)
    return unpacked


def _text(path: Path) -> str:
    """Return the file's text. Bytes that are not UTF-8, as in a key's comment, are replaced."""
    return _bytes(path).decode(errors="replace")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidConfig(f"Can't read {path}: {error.strerror}.") from error
