"""A private mount namespace of a worker; its mounts end with the worker."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.errors import Unavailable
from runtime.linux import clone
from runtime.linux import mount as mounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def enter_private_mount_namespace() -> None:
    """Move this thread into a new mount namespace; its mounts are not visible outside.

    Raise Unavailable. (unshare(2), mount_namespaces(7))
    """
    with _failing_as("unshare"):
        clone.unshare(clone.NEWNS)
    with _failing_as("mount /"):
        mounts.mount(None, b"/", None, mounts.REC | mounts.PRIVATE)


def mount(kind: str, target: Path, options: str) -> None:
    """Mount a new file system. Raise Unavailable. (mount(2))"""
    with _failing_as(f"mount {kind} on {target}"):
        mounts.mount(kind.encode(), os.fsencode(target), kind.encode(), 0, os.fsencode(options))


def bind(source: str | Path, target: Path, *, read_only: bool = False) -> None:
    """Bind a directory. Raise Unavailable. (mount(2))"""
    path = os.fsencode(target)
    with _failing_as(f"mount {source} on {target}"):
        mounts.mount(os.fsencode(source), path, None, mounts.BIND | mounts.REC)
    if read_only:
        with _failing_as(f"mount {target}"):
            mounts.mount(None, path, None, mounts.BIND | mounts.REMOUNT | mounts.RDONLY)


def unmount(target: Path) -> None:
    """Detach a mount in this namespace. Raise Unavailable. (umount2(2))"""
    with _failing_as(f"umount2 {target}"):
        mounts.unmount(os.fsencode(target), mounts.DETACH)


@contextmanager
def _failing_as(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{what} failed in the worker's mount namespace: {error.strerror}."
        ) from error
