"""Find files of an image in its layers, without a mount.

The topmost layer that has a name wins; whiteouts and opaque directories hide lower layers. Symbolic
links are followed inside the image.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import InvalidConfig

_MOST_LINKS = 40  # as path_resolution(7) has it
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_LARGEST_BYTES = 1 << 20
_LAST_ID = (1 << 32) - 2  # the next one means no id (chown(2))


@dataclass(frozen=True, slots=True)
class User:
    """IDs of a user, and the home directory of /etc/passwd."""

    uid: int
    gid: int
    home: str
    groups: tuple[int, ...]


def find(layers: Sequence[Path], name: str) -> Path | None:
    """Return the path of a file of the image, with links followed, or None.

    `layers` are directories, topmost first.
    """
    waiting = [part for part in reversed(name.split("/")) if part not in ("", ".")]
    found: list[str] = []
    links = 0
    path: Path | None = layers[-1] if layers else None
    while waiting:
        part = waiting.pop()
        if part == "..":
            found = found[:-1]
            path = _lookup(layers, found)
            continue
        path = _lookup(layers, [*found, part])
        if path is None:
            return None
        if path.is_symlink():
            links += 1
            if links > _MOST_LINKS:
                return None
            target = str(path.readlink())
            if target.startswith("/"):
                found = []
            waiting += [each for each in reversed(target.split("/")) if each not in ("", ".")]
            path = _lookup(layers, found)
        else:
            found.append(part)
    return path


def resolved(layers: Sequence[Path], name: str) -> str:
    """Return an absolute path with its links followed, of which any part may be missing.

    Raise InvalidConfig for a circle of links.
    """
    waiting = [part for part in reversed(name.split("/")) if part not in ("", ".")]
    found: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            found = found[:-1]
            continue
        path = _lookup(layers, [*found, part])
        if path is None or not path.is_symlink():
            found.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise InvalidConfig(f"The image has a circle of links at {name}.")
        target = str(path.readlink())
        if target.startswith("/"):
            found = []
        waiting += [each for each in reversed(target.split("/")) if each not in ("", ".")]
    return "/" + "/".join(found)


def is_directory(layers: Sequence[Path], name: str) -> bool:
    """Return True if the image has a directory of that name."""
    path = find(layers, name)
    return path is not None and path.is_dir()


def directories(layers: Sequence[Path], name: str) -> list[Path]:
    """Return the directories of the layers that make up one directory, topmost first.

    The list is empty if the image has no directory of that name.
    """
    top = find(layers, name)
    if top is None or not top.is_dir():
        return []
    first = next(number for number, layer in enumerate(layers) if top.is_relative_to(layer))
    parts = top.relative_to(layers[first]).parts
    if not parts:
        return list(layers)
    found: list[Path] = []
    for layer in layers[first:]:
        path, hides = layer, False
        for part in parts:
            path = path / part
            try:
                status = path.lstat()
            except FileNotFoundError:
                break
            if not stat.S_ISDIR(status.st_mode):
                return found  # a whiteout, or a file in place of the directory
            hides = hides or _is_opaque(path)
        else:
            found.append(path)
        if hides:
            return found
    return found


def user(layers: Sequence[Path], text: str) -> User:
    """Return the user of `USER[:GROUP]`, by names or by numbers. Raise InvalidConfig."""
    name, colon, group = text.partition(":")
    name = name or "0"
    passwd = _table(layers, "/etc/passwd", slice(2, 4))
    groups = _table(layers, "/etc/group", slice(2, 3))
    entry = next((row for row in passwd if len(row) > 5 and name in (row[0], row[2])), None)
    if entry:
        uid, gid, home, login = int(entry[2]), int(entry[3]), entry[5], entry[0]
    elif name.isdecimal():
        uid, gid, home, login = _id(name), 0, "/", ""
    else:
        raise InvalidConfig(f"The image has no user {name!r} in /etc/passwd.")
    if colon:
        return User(uid, _group(groups, group), home, ())
    more = (int(row[2]) for row in groups if len(row) > 3 and login and login in row[3].split(","))
    return User(uid, gid, home, tuple(more))


def _group(groups: list[list[str]], name: str) -> int:
    if name.isdecimal():
        return _id(name)
    number = next((row[2] for row in groups if len(row) > 2 and row[0] == name), None)
    if number is None:
        raise InvalidConfig(f"The image has no group {name!r} in /etc/group.")
    return int(number)


def _id(text: str) -> int:
    """Return the id of a user or a group. Raise InvalidConfig for one that no file can have."""
    if not _is_id(text):
        raise InvalidConfig(f"{text[:40]} is no id of a user or a group: the last is {_LAST_ID}.")
    return int(text)


def _table(layers: Sequence[Path], name: str, numbers: slice) -> list[list[str]]:
    """Return the rows of a file, fields between colons, of which the fields `numbers` are ids."""
    path = find(layers, name)
    if path is None or not path.is_file():
        return []
    with path.open("rb") as file:
        text = file.read(_LARGEST_BYTES).decode("utf-8", "replace")
    rows = (line.split(":") for line in text.splitlines() if line and not line.startswith("#"))
    return [row for row in rows if all(_is_id(number) for number in row[numbers])]


def _is_id(text: str) -> bool:
    return text.isdecimal() and len(text) <= len(str(_LAST_ID)) and int(text) <= _LAST_ID


def _lookup(layers: Sequence[Path], parts: Sequence[str]) -> Path | None:
    """Return the path of a name. All parts but the last are directories."""
    for layer in layers:
        path = layer
        hidden = False
        for part in parts:
            hidden = hidden or (path != layer and _is_opaque(path))
            path = path / part
            try:
                status = path.lstat()
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR):
                    raise
                break
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                return None
        else:
            return path
        if hidden or _is_opaque(path.parent):
            return None
    return None


def _is_opaque(path: Path) -> bool:
    for name in _OPAQUE:
        with suppress(OSError):
            if os.getxattr(path, name) == b"y":
                return True
    return False
