"""Images that lie over others, while no machine uses them. (qemu-img(1))"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from vms.errors import MachineError
from vms.storage import disks, qcow2

if TYPE_CHECKING:
    from pathlib import Path


def backing(image: qcow2.Image) -> tuple[Path, str] | None:
    """The file that it lies over and its format, as its header says; None if it lies over none."""
    if not image.backing:
        return None
    return image.path.parent / image.backing, image.backing_format or "raw"


def backing_file(image: Path) -> Path | None:
    """The file that it lies over. Raises MachineError if it is no qcow2 image."""
    found = backing(qcow2.read(image))
    return found[0] if found else None


def commit(image: Path) -> None:
    """Write what it holds into the image below it. Raises MachineError."""
    argv = ["qemu-img", "commit", "-q", "-f", "qcow2", str(image)]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise MachineError("qemu-img is missing: apt-get install qemu-utils.") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise MachineError(f"{image} can't be merged: {said[-1] if said else done.returncode}.")


def emptied(image: Path) -> Path:
    """An image aside, to be renamed to this one, that is as this one was when it was made: empty.

    Raises MachineError.
    """
    below = backing(qcow2.read(image))
    if below is None:
        raise MachineError(f"{image} lies over no other image any more.")
    aside = image.with_name(f".{image.name}.new")
    aside.unlink(missing_ok=True)
    disks.clone(below[0], aside, base_format=below[1])
    return aside
