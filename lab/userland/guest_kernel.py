"""Kernels and initramfs images of the machines: measured, probed, and for interactive use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.paths import cache_directory
from lab.userland.cache_entry import cache_entry, digest
from lab.userland.payload import build_payload
from vms.boot import kernel
from vms.boot.initramfs import build_initramfs, module_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# The drivers of a measured machine: disk, network card, console, the ports of the payload's events
# and agent, balloon and power button.
MODULES = (
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_console",
    "virtio_net",
    "virtio_balloon",
    "button",
    "evdev",
    "ext4",
)
# More drivers for interactive use: shared directories, CD images, disks of virtio-scsi. Measured
# machines do without them, since each takes time and memory at every boot.
_INTERACTIVE_MODULES = ("isofs", "sr_mod", "virtio_scsi")
# The drivers of each kind of shared directory; Debian's cloud kernel has no 9p.
_SHARE_MODULES = {"virtiofs": ("virtiofs",), "9p": ("9p", "9pnet_virtio")}


def probe_machine(progress: Callable[[str], None]) -> tuple[Path, Path]:
    """Return kernel and initramfs of the smallest machine, whose init is the payload.

    Raises LabError, MachineError.
    """
    payload = build_payload(progress)
    cache = cache_directory() / "kernel"
    if not cache.is_dir():
        progress("fetching the guest kernel")
    guest = kernel.fetch(cache)
    return guest.vmlinuz, _build_initramfs(payload, guest, MODULES, progress)


def interactive_machine(progress: Callable[[str], None]) -> tuple[Path, tuple[str, ...]]:
    """Return the initramfs of a machine for interactive use, and the kinds of share it mounts.

    Raises LabError, MachineError.
    """
    payload = build_payload(progress)
    guest = kernel.fetch(cache_directory() / "kernel")
    available = module_names(guest)
    shares = tuple(kind for kind, names in _SHARE_MODULES.items() if available.issuperset(names))
    share_modules = [name for kind in shares for name in _SHARE_MODULES[kind]]
    modules = (*MODULES, *_INTERACTIVE_MODULES, *share_modules)
    return _build_initramfs(payload, guest, modules, progress), shares


def uncompressed(vmlinuz: Path, progress: Callable[[str], None] = lambda _: None) -> Path:
    """Return the ELF image inside a compressed kernel, unpacked once.

    Raises LabError, MachineError.
    """
    with cache_entry("vmlinux", digest(vmlinuz.read_bytes())) as (directory, staging):
        if staging:
            progress("unpacking the guest kernel")
            kernel.uncompress(vmlinuz, staging / "vmlinux")
    return directory / "vmlinux"


def _build_initramfs(
    payload: Path,
    guest: kernel.Kernel,
    modules: Sequence[str],
    progress: Callable[[str], None],
) -> Path:
    key = digest(payload.parent.name, guest.release, *modules)
    with cache_entry("initramfs", key) as (directory, staging):
        if staging:
            progress("making the initramfs")
            build_initramfs(staging / "initramfs.cpio", payload, guest, modules)
    return directory / "initramfs.cpio"
