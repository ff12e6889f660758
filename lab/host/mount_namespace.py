"""A mount namespace for the worker alone: what is mounted there dies with it."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path

_CLONE_NEWNS = 0x20000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_LIBC = ctypes.CDLL(None, use_errno=True)


def enter_private_mount_namespace() -> None:
    """Unshare the mount namespace; nothing mounted from here on is seen outside. (unshare(2))

    Raises LabError.
    """
    _call("unshare", _CLONE_NEWNS)
    _call("mount", None, b"/", None, _MS_REC | _MS_PRIVATE, None)


def mount(kind: str, target: Path, options: str) -> None:
    """Mount a new file system. Raises LabError. (mount(2))"""
    name = kind.encode()
    _call("mount", name, os.fsencode(target), name, 0, os.fsencode(options))


def bind(source: str | Path, target: Path, *, read_only: bool = False) -> None:
    """Bind a directory. Raises LabError. (mount(2))"""
    paths = os.fsencode(source), os.fsencode(target)
    _call("mount", *paths, None, _MS_BIND | _MS_REC, None)
    if read_only:
        _call("mount", None, paths[1], None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY, None)


def unmount(target: Path) -> None:
    """Detach a mount in this namespace. Raises LabError. (umount2(2))"""
    _call("umount2", os.fsencode(target), _MNT_DETACH)


def _call(name: str, *arguments: int | bytes | None) -> None:
    if getattr(_LIBC, name)(*arguments) != 0:
        reason = os.strerror(ctypes.get_errno())
        paths = " on ".join(os.fsdecode(each) for each in arguments[:2] if isinstance(each, bytes))
        what = f"{name} {paths}".rstrip()
        raise LabError(f"{what} failed in the worker's mount namespace: {reason}.")
