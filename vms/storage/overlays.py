"""Overlays: images with a backing file, while no machine uses them. (qemu-img(1))"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vms.errors import InvalidState
from vms.storage import disks, qcow2, tools

if TYPE_CHECKING:
    from pathlib import Path


def backing(image: qcow2.Image) -> tuple[Path, str] | None:
    """Return the backing file and its format as the image's header names them; None without one."""
    if not image.backing:
        return None
    return image.path.parent / image.backing, image.backing_format or "raw"


def commit(image: Path) -> None:
    """Write an overlay's contents into its backing file. Raises MachineError."""
    argv = ["qemu-img", "commit", "-q", "-f", "qcow2", str(image)]
    tools.run(argv, "qemu-utils", failed=f"{image} can't be merged into its backing file")


def empty_copy(image: Path) -> Path:
    """Write a new, empty overlay of the same backing file beside the image, and return its path.

    Renamed to the image it takes the image back to its creation. Raises MachineError.
    """
    base = backing(qcow2.read(image))
    if base is None:
        raise InvalidState(f"{image} has no backing file any more, so it can't be emptied.")
    copy = image.with_name(f".{image.name}.new")
    copy.unlink(missing_ok=True)
    disks.clone(base[0], copy, base_format=base[1])
    return copy
