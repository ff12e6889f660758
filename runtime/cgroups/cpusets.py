"""Cpusets of version 1, which are empty until CPUs and memory nodes are written. (cpuset(7))

No process can run in an empty cpuset, or below it. In version 2 a cpuset inherits its parent's.
"""

from __future__ import annotations

import errno
import os

from runtime.cgroups import files
from runtime.errors import ContainerError, Unavailable
from runtime.linux import cpu_list

_FILES = {"cpuset.cpus": "cpuset.cpu_exclusive", "cpuset.mems": "cpuset.mem_exclusive"}


def fill(root: str, location: str) -> None:
    """Copy the parent's CPUs and nodes to a cpuset that is empty, after empty ones above it.

    `location` is the path below the root of the hierarchy. Raise ContainerError.
    """
    for file in _FILES:
        _fill(root, location, file)


def _fill(root: str, location: str, file: str) -> str:
    path = f"{root}/{location}/{file}" if location else f"{root}/{file}"
    value = files.read(path)
    if value:
        return value
    if not location:
        raise Unavailable(f"{path} is empty, so no process can run below it: write to it.")
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
    """Return `value` without what is exclusive to neighbours. Raise ContainerError."""
    left = set(cpu_list.parse(value))
    for neighbour in files.below(os.path.dirname(directory)):
        if neighbour != directory and files.read_if_there(f"{neighbour}/{_FILES[file]}") == "1":
            left -= set(cpu_list.parse(files.read(f"{neighbour}/{file}")))
    if not left:
        raise Unavailable(
            f"{directory}/{file}: other cpusets have exclusive use of all of {value}."
        )
    return ",".join(map(str, sorted(left)))
