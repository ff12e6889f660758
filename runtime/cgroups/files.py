"""A cgroup's directories and files, as the kernel shows them. Raises OSError."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = 65536
_SHORT = 2048  # the kernel fills a page before it stops in the middle (seq_file.c): this is the end


def write(path: str, value: str) -> None:
    """Write one value, in one call: the kernel takes no value in parts."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def read(path: str) -> str:
    """All of a file, without the last line's end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(descriptor, _PAGE):
            parts.append(part)
            if len(part) < _SHORT:
                break
    finally:
        os.close(descriptor)
    return b"".join(parts).decode().rstrip("\n")


def read_if_there(path: str) -> str | None:
    """All of a file; None where the kernel has no such file."""
    try:
        return read(path)
    except FileNotFoundError:
        return None


def below(directory: str) -> Iterator[str]:
    """A cgroup's own sub-cgroups."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield entry.path


def all_below(directory: str) -> Iterator[str]:
    """A cgroup and all its sub-cgroups, the lowest first, as far as they are there."""
    try:
        for sub in list(below(directory)):
            yield from all_below(sub)
    except FileNotFoundError:
        return
    yield directory
