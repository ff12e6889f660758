"""Directories and files of the cgroup file systems. Every function may raise OSError."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = 65536
_SHORT = 2048  # the kernel fills a page unless this is the end of the file (seq_file.c)


def write(path: str, value: str) -> None:
    """Write a value in one call, since the kernel accepts no value in parts."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def read(path: str) -> str:
    """Return the whole file, without the final newline."""
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
    """Return the whole file, or None if the kernel has no such file."""
    try:
        return read(path)
    except FileNotFoundError:
        return None


def below(directory: str) -> Iterator[str]:
    """Yield the sub-cgroups of a cgroup."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield entry.path


def all_below(directory: str) -> Iterator[str]:
    """Yield a cgroup and all cgroups below it, the lowest first, skipping those that vanish."""
    try:
        for sub in list(below(directory)):
            yield from all_below(sub)
    except FileNotFoundError:
        return
    yield directory
