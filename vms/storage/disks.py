"""Disk images: a base from a root file system, thin clones over it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from vms.errors import MachineError
from vms.storage import qcow2

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path


_SECTOR_BYTES = 512
_ONLY_LEAKS = 3  # clusters that are lost, and nothing wrong. (qemu-img(1), check)


def build_disk(tree: Path, destination: Path, size_bytes: int) -> None:
    """A qcow2 image of that size whose one ext4 file system holds the tree. No partition table.

    Nothing is mounted. Raises MachineError. (mke2fs(8), -d)
    """
    raw = destination.with_suffix(".raw")
    try:
        with raw.open("xb") as file:
            file.truncate(size_bytes)
        _run(["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(raw)], "e2fsprogs")
        _run(_convert(raw, destination, "-f", "raw"), "qemu-utils")
    finally:
        raw.unlink(missing_ok=True)


def clone(
    base: Path, path: Path, size_bytes: int | None = None, *, base_format: str = "qcow2"
) -> None:
    """A thin qcow2 clone: it holds what is written to it, and reads the rest from the base.

    It may be larger than the base, never smaller. Raises MachineError.
    """
    if not base.is_file():
        raise MachineError(f"There is no disk image {base}.")
    base_bytes = (
        qcow2.read(base).virtual_bytes
        if base_format == "qcow2"
        else -(-base.stat().st_size // _SECTOR_BYTES) * _SECTOR_BYTES
    )
    if size_bytes is not None and size_bytes < base_bytes:
        raise MachineError(f"A clone of {base} can't be smaller than it: {base_bytes} B.")
    try:
        qcow2.write_clone(base, base_format, path, size_bytes or base_bytes)
    except OSError as error:
        raise MachineError(f"Can't write {path}: {error.strerror}.") from error


def resize(path: Path, size_bytes: int) -> None:
    """Make a qcow2 image larger. Raises MachineError, also for a smaller size: data would go."""
    image = qcow2.read(path)
    if size_bytes < image.virtual_bytes:
        raise MachineError(f"{path} can only grow: it has {image.virtual_bytes} B.")
    _run(["qemu-img", "resize", "-q", "-f", "qcow2", str(path), str(size_bytes)], "qemu-utils")


def check(path: Path) -> None:
    """Have QEMU check a qcow2 image's tables and refcounts. Raises MachineError.

    Only for an image that was found to lead nowhere else. Space that is lost in it does no harm.
    """
    argv = ["qemu-img", "check", "-q", "-f", "qcow2", str(path)]
    _run(argv, "qemu-utils", fine=(0, _ONLY_LEAKS))


def convert(source: Path, source_format: str, path: Path) -> None:
    """A qcow2 image of one in another format. Raises MachineError."""
    _run(_convert(source, path, "-f", source_format), "qemu-utils")


def compress(base: Path, path: Path) -> None:
    """A copy whose clusters are compressed, as cloud images are shipped. Raises MachineError."""
    _run(_convert(base, path, "-c"), "qemu-utils")


def expand(base: Path, path: Path) -> None:
    """A raw copy, with holes where nothing is. Raises MachineError."""
    _run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(base), str(path)], "qemu-utils")


def copy(source: Path, path: Path) -> None:
    """A copy of a file, its blocks shared with it where the file system can. Raises MachineError.

    (cp(1), --reflink, --sparse)
    """
    _run(["cp", "--reflink=auto", "--sparse=always", str(source), str(path)], "coreutils")


def _convert(source: Path, destination: Path, *options: str) -> list[str]:
    return ["qemu-img", "convert", "-O", "qcow2", *options, str(source), str(destination)]


def rebase(path: Path, base: tuple[Path, str] | None) -> None:
    """Have a qcow2 image read from another base of that format, or from none; it holds the same.

    What it read from the old one and the new one does not have is written to it. Raises
    MachineError. (qemu-img(1), rebase, safe mode)
    """
    onto = ["-b", str(base[0].absolute()), "-F", base[1]] if base else ["-b", ""]
    _run(["qemu-img", "rebase", "-q", "-f", "qcow2", *onto, str(path)], "qemu-utils")


def name_base(path: Path, base: tuple[Path, str]) -> None:
    """Write into a qcow2 image's header where its base is, and nothing else. Raises MachineError.

    (qemu-img(1), rebase, unsafe mode)
    """
    onto = ["-b", str(base[0].absolute()), "-F", base[1]]
    _run(["qemu-img", "rebase", "-q", "-u", "-f", "qcow2", *onto, str(path)], "qemu-utils")


def drop_snapshot(path: Path, name: str) -> None:
    """Delete an internal snapshot of a qcow2 image that no machine uses. Raises MachineError."""
    _run(["qemu-img", "snapshot", "-q", "-d", name, str(path)], "qemu-utils")


def _run(argv: Sequence[str], package: str, fine: Collection[int] = (0,)) -> None:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise MachineError(f"{argv[0]} is missing: apt-get install {package}.") from error
    if done.returncode not in fine:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise MachineError(f"{argv[0]} failed: {said[-1] if said else done.returncode}.")
