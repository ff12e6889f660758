"""A private mount namespace of a worker; its mounts end with the worker."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from lab.errors import Unavailable
from runtime.linux import clone
from runtime.linux import mount as mounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


T = TypeVar("T")


def call_privately(function: Callable[[], T]) -> T:
    """Call a function in a thread with a mount namespace of its own; mounts end with the thread.

    The thread also has a working directory of its own. Raise Unavailable.
    """

    def call() -> T:
        enter_private_mount_namespace()
        return function()

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(call).result()


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


def mount_layers(layers: Sequence[Path], target: Path) -> None:
    """Mount directories, topmost first, as one read-only tree. Raise Unavailable.

    The calling thread changes to the directory of the topmost layer: the options of mount(2) have
    room for one page, so layers beside it are named relative to it.
    """
    directory = layers[0].parents[1]
    os.chdir(directory)
    names = (
        each.relative_to(directory) if each.is_relative_to(directory) else each for each in layers
    )
    mount("overlay", target, f"lowerdir={':'.join(map(str, names))}")


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
