"""Disk images: made from a root file system, cloned, converted and resized."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vms.errors import InvalidDescription, NotFound, os_error
from vms.storage import qcow2, tools

if TYPE_CHECKING:
    from pathlib import Path

_SECTOR_BYTES = 512
_ONLY_LEAKS = 3  # lost clusters and no other fault. (qemu-img(1), check)


def build_disk(tree: Path, destination: Path, size_bytes: int) -> None:
    """Write a qcow2 image whose one ext4 file system holds the tree, without a partition table.

    Nothing is mounted. Raises MachineError. (mke2fs(8), -d)
    """
    raw = destination.with_suffix(".raw")
    try:
        with raw.open("xb") as file:
            file.truncate(size_bytes)
        tools.run(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(raw)], "e2fsprogs")
        tools.run(_convert(raw, destination, "-f", "raw"), "qemu-utils")
    finally:
        raw.unlink(missing_ok=True)


def clone(
    base: Path, path: Path, size_bytes: int | None = None, *, base_format: str = "qcow2"
) -> None:
    """Write a thin qcow2 clone, which holds what is written to it and reads the rest from the base.

    It may be larger than the base, never smaller. Raises MachineError.
    """
    if not base.is_file():
        raise NotFound(f"There is no disk image {base}.")
    base_bytes = (
        qcow2.read(base).virtual_bytes
        if base_format == "qcow2"
        else -(-base.stat().st_size // _SECTOR_BYTES) * _SECTOR_BYTES
    )
    if size_bytes is not None and size_bytes < base_bytes:
        raise InvalidDescription(
            f"A clone can't be smaller than its base: {base} has {base_bytes} bytes, and"
            f" {size_bytes} were asked for."
        )
    try:
        qcow2.write_clone(base, base_format, path, size_bytes or base_bytes)
    except OSError as error:
        raise os_error(f"Can't write {path}", error) from error


def resize(path: Path, size_bytes: int) -> None:
    """Enlarge a qcow2 image. Raises MachineError, also for a smaller size, to lose no data."""
    image = qcow2.read(path)
    if size_bytes < image.virtual_bytes:
        raise InvalidDescription(
            f"{path} can only grow: it has {image.virtual_bytes} bytes, and {size_bytes} were"
            " asked for."
        )
    argv = ["qemu-img", "resize", "-q", "-f", "qcow2", str(path), str(size_bytes)]
    tools.run(argv, "qemu-utils")


def check(path: Path) -> None:
    """Check a qcow2 image's tables and reference counts with QEMU. Raises MachineError.

    The image must have no backing file. Lost space in it does no harm.
    """
    argv = ["qemu-img", "check", "-q", "-f", "qcow2", str(path)]
    tools.run(argv, "qemu-utils", accepted=(0, _ONLY_LEAKS))


def convert(source: Path, source_format: str, path: Path) -> None:
    """Write a qcow2 copy of an image in another format. Raises MachineError."""
    tools.run(_convert(source, path, "-f", source_format), "qemu-utils")


def compress(base: Path, path: Path) -> None:
    """Write a copy with compressed clusters, as in cloud images. Raises MachineError."""
    tools.run(_convert(base, path, "-c"), "qemu-utils")


def expand(base: Path, path: Path) -> None:
    """Write a sparse raw copy of a qcow2 image. Raises MachineError."""
    argv = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(base), str(path)]
    tools.run(argv, "qemu-utils")


def copy(source: Path, path: Path) -> None:
    """Copy a file, and share its blocks where the file system can. Raises MachineError.

    (cp(1), --reflink, --sparse)
    """
    argv = ["cp", "--reflink=auto", "--sparse=always", str(source), str(path)]
    tools.run(argv, "coreutils")


def rebase(path: Path, base: tuple[Path, str] | None) -> None:
    """Give a qcow2 image another backing file (path and format), or none; its contents stay.

    Clusters that differ between the old backing file and the new are written to the image. Raises
    MachineError. (qemu-img(1), rebase, safe mode)
    """
    tools.run(["qemu-img", "rebase", "-q", *_backing(base), str(path)], "qemu-utils")


def set_backing_file(path: Path, base: tuple[Path, str]) -> None:
    """Change the backing file that a qcow2 image's header names, and nothing else.

    Raises MachineError. (qemu-img(1), rebase, unsafe mode)
    """
    tools.run(["qemu-img", "rebase", "-q", "-u", *_backing(base), str(path)], "qemu-utils")


def delete_snapshot(path: Path, name: str) -> None:
    """Delete an internal snapshot of a qcow2 image that no machine uses. Raises MachineError."""
    tools.run(["qemu-img", "snapshot", "-q", "-d", name, str(path)], "qemu-utils")


def _convert(source: Path, destination: Path, *options: str) -> list[str]:
    return ["qemu-img", "convert", "-O", "qcow2", *options, str(source), str(destination)]


def _backing(base: tuple[Path, str] | None) -> list[str]:
    """Return the options of qemu-img rebase for a backing file and its format."""
    options = ["-b", str(base[0].absolute()), "-F", base[1]] if base else ["-b", ""]
    return ["-f", "qcow2", *options]
