"""Images that lie over others, while no machine uses them. (qemu-img(1))"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from vms import disks, qcow2
from vms.errors import MachineError

if TYPE_CHECKING:
    from pathlib import Path


def backing_file(image: Path) -> Path | None:
    """What it lies over. Raises MachineError if it can't be read, or is no qcow2 image."""
    below = qcow2.read(image).backing
    return image.parent / below if below else None


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


def start_over(image: Path, below: Path) -> None:
    """Make it anew, empty, over the image below it: built aside, then renamed.

    Raises MachineError.
    """
    aside = image.with_name(f".{image.name}.new")
    try:
        disks.clone(below, aside)
        aside.replace(image)
    except OSError as error:
        raise MachineError(f"Can't write {image}: {error.strerror}.") from error
    finally:
        aside.unlink(missing_ok=True)
