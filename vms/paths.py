"""Paths of files that outlive a process: images, kept machines, roots of running machines."""

from __future__ import annotations

import os
from pathlib import Path

from vms.errors import Unavailable


def directory() -> Path:
    """Return $TONNAGE_STATE, else /var/lib/tonnage for root, else a folder in the user's data.

    Raise Unavailable for a user without a home directory.
    """
    if override := os.environ.get("TONNAGE_STATE"):
        return Path(override)
    if os.geteuid() == 0:
        return Path("/var/lib/tonnage")
    if data := os.environ.get("XDG_DATA_HOME"):
        return Path(data) / "tonnage"
    try:
        return Path.home() / ".local/share/tonnage"
    except RuntimeError:
        raise Unavailable(
            f"HOME is not set, and user {os.getuid()} has no account: set HOME or TONNAGE_STATE."
        ) from None


def images() -> Path:
    """Return the directory of the image store."""
    return directory() / "images"


def machines() -> Path:
    """Return the directory with a folder for each kept machine: its disk and its seed."""
    return directory() / "machines"


def roots() -> Path:
    """Return the directory with a root for each process that runs machines in the foreground.

    Its name is short, since the paths of UNIX sockets below it are limited.
    """
    return directory() / "r"


def capabilities() -> Path:
    """Return the directory where libvirt caches the capabilities of this host's QEMUs."""
    return directory() / "capabilities"


def sockets() -> Path:
    """Return the directory with the sockets of machines that a libvirt daemon keeps."""
    return directory() / "c"
