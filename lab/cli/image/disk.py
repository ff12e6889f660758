"""`tonnage image disk`: a machine's disk from an image."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab.cli import argument_types
from lab.errors import AlreadyExists, LabError, Unavailable

if TYPE_CHECKING:
    import argparse

    from runtime.images.store import Store

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_RAW_SUFFIXES = (".img", ".raw")
_WORDS = "console=ttyS0 quiet TONNAGE_ROOT=/dev/vda"


def register(verbs: Subparsers, common: argparse.ArgumentParser) -> None:
    """Add disk."""
    disk = verbs.add_parser(
        "disk",
        parents=[common],
        help="make a machine's disk from an image",
        description="Make a machine's disk from an image. Its init starts the command as the"
        " image's user, with its variables and in its directory, and powers off when it ends.",
        epilog="example: tonnage image disk nginx:1.27 -o nginx.qcow2 --size 4G",
    )
    disk.add_argument(
        "reference",
        type=argument_types.image_reference,
        metavar="REF",
        help="a name in the store or in a registry, oci:DIR, oci-archive:FILE or"
        " docker-archive:FILE",
    )
    disk.add_argument(
        "-o", "--output", type=argument_types.folder, metavar="FILE",
        help="the file to create; default: the image's name and tag with .qcow2 or .img",
    )  # fmt: skip
    disk.add_argument(
        "--size", type=argument_types.size, metavar="SIZE",
        help="such as 4G; default: twice the image, and at least 2G",
    )  # fmt: skip
    disk.add_argument(
        "--format",
        choices=("qcow2", "raw"),
        help="default: raw for a FILE that ends in .img or .raw, else qcow2",
    )
    disk.set_defaults(image_verb=_disk)


def _disk(options: argparse.Namespace, store: Store) -> int:
    from lab.userland import guest_kernel, image_source
    from lab.userland.application import of_image
    from lab.userland.host_tools import require_root
    from lab.userland.image_disk import build_image_disk
    from vms.errors import MachineError

    require_root("make a disk from an image")
    output = options.output or _default_output(options.reference, options.format)
    kind = options.format or ("raw" if output.suffix in _RAW_SUFFIXES else "qcow2")
    _refuse_used(output)
    with image_source.found(options.reference, _tell, store) as (_, image):
        layers = store.snapshots.layers(image.chain_ids)
        with image_source.as_lab_errors(options.reference):
            application = of_image(image, layers, options.reference)
        try:
            disk = build_image_disk(layers, application, _tell, options.size)
            kernel, initramfs = guest_kernel.probe_machine(_tell)
            _write(disk, output, kind)
        except MachineError as error:
            raise Unavailable(str(error)) from error
    print(output)
    _tell(
        f"To boot it: tonnage vm run --disk {output} --kernel {kernel} --initrd {initramfs}"
        f" --append '{_WORDS}'"
    )
    return 0


def _write(disk: Path, output: Path, kind: str) -> None:
    """Write a copy of the cached disk; it appears under its name once it is complete."""
    from vms.storage import disks

    aside = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        if kind == "raw":
            disks.expand(disk, aside)
        else:
            disks.copy(disk, aside)
        aside.rename(output)
    except OSError as error:
        raise LabError(f"{output} can't be written: {error.strerror}.") from error
    finally:
        aside.unlink(missing_ok=True)


def _default_output(reference: str, kind: str | None) -> Path:
    """Return NAME-TAG.qcow2 or .img in the current directory."""
    stem = reference.rstrip("/").rpartition("/")[2].replace(":", "-").replace("@", "-")
    return Path(f"{stem}.{'img' if kind == 'raw' else 'qcow2'}")


def _refuse_used(output: Path) -> None:
    if output.exists() or output.is_symlink():
        raise AlreadyExists(f"{output} exists: remove it, or name another file with -o.")
    if not output.parent.is_dir():
        raise LabError(f"{output} can't be written: {output.parent} is not a directory.")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
