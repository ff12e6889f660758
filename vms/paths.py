"""Where what outlives a process is kept: images, machines that were created, machines that run."""

from __future__ import annotations

import os
from pathlib import Path


def directory() -> Path:
    """$TONNAGE_STATE, else /var/lib/tonnage, or the user's own data."""
    if override := os.environ.get("TONNAGE_STATE"):
        return Path(override)
    if os.geteuid() == 0:
        return Path("/var/lib/tonnage")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "tonnage"


def images() -> Path:
    """The image store."""
    return directory() / "images"


def machines() -> Path:
    """A folder for each machine that was created: its disk and its seed."""
    return directory() / "machines"


def roots() -> Path:
    """A folder for each process that runs machines in the foreground: short, for the sockets."""
    return directory() / "r"


def capabilities() -> Path:
    """What each QEMU of this host can do, as libvirt found out by asking it."""
    return directory() / "capabilities"


def sockets() -> Path:
    """Where the ports of machines listen that a libvirt of the host's keeps."""
    return directory() / "c"
