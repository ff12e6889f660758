"""Disk images: a base from a root file system, thin clones over it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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


def clone(base: Path, path: Path) -> None:
    """A thin qcow2 clone: it holds what is written to it, and reads the rest from the base.

    Raises MachineError. (qemu-img(1), create)
    """
    if not base.is_file():
        raise MachineError(f"There is no disk image {base}.")
    _run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(path)],
        "qemu-utils",
    )


def compress(base: Path, path: Path) -> None:
    """A copy whose clusters are compressed, as cloud images are shipped. Raises MachineError."""
    _run(_convert(base, path, "-c"), "qemu-utils")


def _convert(source: Path, destination: Path, *options: str) -> list[str]:
    return ["qemu-img", "convert", "-O", "qcow2", *options, str(source), str(destination)]


def _run(argv: Sequence[str], package: str) -> None:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise MachineError(f"{argv[0]} is missing: apt-get install {package}.") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise MachineError(f"{argv[0]} failed: {said[-1] if said else done.returncode}.")
