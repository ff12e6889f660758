"""Version 1's cpusets, which have no CPUs and no memory nodes until somebody says so. (cpuset(7))

Nothing can be run in an empty one, or below it. Version 2's inherit what is above them.
"""

from __future__ import annotations

import errno
import os

from runtime.cgroups import files
from runtime.errors import ContainerError

_FILES = {"cpuset.cpus": "cpuset.cpu_exclusive", "cpuset.mems": "cpuset.mem_exclusive"}


def fill(root: str, location: str) -> None:
    """Give an empty cpuset, and empty ones on the way to it, what is above. Raise ContainerError.

    `location` is its path below the root of the hierarchy.
    """
    for file in _FILES:
        _fill(root, location, file)


def _fill(root: str, location: str, file: str) -> str:
    path = f"{root}/{location}/{file}" if location else f"{root}/{file}"
    value = files.read(path)
    if value:
        return value
    if not location:
        raise ContainerError(f"{path} is empty, so that nothing can run below it: write to it.")
    value = _fill(root, location.rpartition("/")[0], file)
    try:
        files.write(path, value)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise ContainerError(f"Can't write {value!r} to {path}: {error.strerror}.") from error
        value = _not_exclusive(os.path.dirname(path), file, value)
        files.write(path, value)
    return value


def _not_exclusive(directory: str, file: str, value: str) -> str:
    """What is above it but for what a neighbour has to itself. Raise ContainerError."""
    from runtime.process.attributes import numbers

    left = set(numbers(value))
    for neighbour in files.below(os.path.dirname(directory)):
        if neighbour != directory and files.read_if_there(f"{neighbour}/{_FILES[file]}") == "1":
            left -= set(numbers(files.read(f"{neighbour}/{file}")))
    if not left:
        raise ContainerError(f"{directory}/{file}: all of {value} are exclusive to other cpusets.")
    return ",".join(map(str, sorted(left)))
