"""Directories of this host's cache and of this package, and paths inside the user land."""

from __future__ import annotations

import os
from pathlib import Path

from lab.errors import InvalidConfig
from runtime.errors import ContainerError
from runtime.linux import users

CACHE_VARIABLE = "TONNAGE_CACHE"
PACKAGE = Path(__file__).parent
WORKLOADS = PACKAGE / "workloads"
# The project's folder in a checkout, with its results and notebooks; a wheel has none of these.
CHECKOUT = PACKAGE.parent
# Paths inside the user land's root file system, which the workloads' definitions name.
PAYLOAD_IN_TREE = "/usr/lib/tonnage/payload"
PYTHON_IN_TREE = "/usr/lib/tonnage/python"
# Where containers of an image find the payload, and where a machine's disk names its command.
IMAGE_DIRECTORY = "/.tonnage"
PAYLOAD_IN_IMAGE = f"{IMAGE_DIRECTORY}/payload"
APPLICATION_ON_DISK = f"{IMAGE_DIRECTORY}/application"


def cache_directory() -> Path:
    """Return the cache directory: $TONNAGE_CACHE, else /var/cache/tonnage or the user's cache.

    Raise InvalidConfig for a user without a home directory.
    """
    if override := os.environ.get(CACHE_VARIABLE):
        return Path(override).absolute()
    if os.geteuid() == 0:
        return Path("/var/cache/tonnage")
    try:
        parent = os.environ.get("XDG_CACHE_HOME") or f"{users.own_home()}/.cache"
    except ContainerError as error:
        raise InvalidConfig(str(error)) from None
    return Path(parent) / "tonnage"
