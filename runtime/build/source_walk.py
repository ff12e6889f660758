"""The files that the sources of COPY and ADD name, found below one directory.

That directory is the root of this process (`copy_source.py`), or a directory of the host. In the
latter no symbolic link is followed, since it could lead out.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from runtime.build import patterns
from runtime.errors import InvalidConfig

NEW_DIRECTORY_MODE = 0o755
_PIECE_BYTES = 1 << 18
_PIVOT = "/./"


class LinkNamed(Exception):
    """A source is named through a symbolic link, which only a process of its own may follow."""


@dataclass(frozen=True)
class Request:
    """The sources to copy, and their destination.

    `root` is the directory of the sources. For an image, `lower` are its overlayfs layers, topmost
    first, relative to `root`. `destination` is absolute; with `into` it is a directory for the
    sources, and with `keeps_destination` it keeps its own mode and owner. `owner` and `mode`
    override those of the sources. `ignored` are the lines of .dockerignore. With `unpack` the
    content of archives is copied, with `whole` also devices and all extended attributes.
    """

    root: str
    lower: list[str]
    sources: list[str]
    destination: str
    into: bool
    owner: tuple[int, int] | None = None
    mode: str | None = None
    parents: bool = False
    keeps_destination: bool = False
    exclude: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    latest_ns: int | None = None
    unpack: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Source:
    """A file or directory to copy, and its new name without a leading slash.

    `is_named` is True for a file that a source names itself, `is_destination` for the directory to
    which the content of another is copied: it does not get the attributes of the other.
    """

    path: str
    name: str
    status: os.stat_result
    is_named: bool = False
    is_destination: bool = False


class Walk:
    """The files of a request below `prefix`, which is empty for the root of the process."""

    def __init__(self, request: Request, prefix: str = "") -> None:
        self._request = request
        self._prefix = prefix
        self._destination = request.destination.strip("/")
        self._ignored = patterns.Ignored(request.ignored)
        self._excluded = patterns.Ignored(request.exclude)

    def sources(self) -> Iterator[Source]:
        """Yield all files to copy, sorted, each directory before its content.

        Raise InvalidConfig, LinkNamed.
        """
        for source in self._request.sources:
            if posixpath.normpath(source.lstrip("/") or ".").startswith(".."):
                words = "leads out of where it is copied from"
                raise InvalidConfig(f"The source {source!r} {words}.")
            if self._request.parents:
                yield from self._with_parents(source)
            else:
                yield from self._copied(source)

    def described(self, source: Source) -> list[Any]:
        """Return the inputs of a step from a source: all but its time."""
        status = source.status
        if source.is_destination:
            return [source.name, f"{stat.S_IFDIR | NEW_DIRECTORY_MODE:o}", 0, 0, ""]
        content = ""
        if stat.S_ISREG(status.st_mode):
            digest = hashlib.sha256()
            with open(source.path, "rb", buffering=0) as file:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
            content = digest.hexdigest()
        elif stat.S_ISLNK(status.st_mode):
            content = os.readlink(source.path)
        # Files of the context belong to root in the image, whoever owns them on the host.
        uid, gid = (status.st_uid, status.st_gid) if self._request.lower else (0, 0)
        return [source.name, f"{status.st_mode:o}", uid, gid, content]

    def _real(self, path: str) -> str:
        """Return the path on which system calls work; that of the root itself is empty."""
        return self._prefix + path or "/"

    def _copied(self, source: str) -> Iterator[Source]:
        """Yield the files of a source without its parent directories."""
        request = self._request
        paths = self._existing("", source, required=not patterns.has_meta(source))
        for path in paths:
            status = os.stat(self._real(path))  # a source that is a link is followed
            if stat.S_ISDIR(status.st_mode):
                if self._destination and not request.keeps_destination:
                    real = self._real(path)
                    yield Source(real, self._destination, status, is_destination=True)
                yield from self._below(path, self._destination, "")
                continue
            if len(paths) > 1 and not request.into:
                words = f"{len(paths)} files match it, so end the destination with a slash"
                raise InvalidConfig(f"The source {source!r}: {words}.")
            base = posixpath.basename(path)
            if patterns.has_meta(source) and base in self._excluded:
                continue
            name = f"{self._destination}/{base}" if request.into else self._destination
            yield Source(self._real(path), name.strip("/"), status, is_named=True)

    def _with_parents(self, source: str) -> Iterator[Source]:
        """Yield the files of a source, preceded by their parents from the pivot `/./` on."""
        before, pivot, pattern = source.partition(_PIVOT)
        required = not patterns.has_meta(source)
        roots = self._existing("", before, required=required) if pivot else [""]
        for root in roots:
            for path in self._existing(root, pattern if pivot else source, required=required):
                relative = path.removeprefix(root).strip("/")
                parts = relative.split("/") if relative else []
                for depth in range(1, len(parts)):
                    yield self._parent(root, "/".join(parts[:depth]))
                name = f"{self._destination}/{relative}".strip("/")
                status = os.stat(self._real(path))
                if stat.S_ISDIR(status.st_mode):
                    if relative:
                        yield Source(self._real(path), name, status)
                    yield from self._below(path, name, relative)
                elif relative not in self._excluded:
                    yield Source(self._real(path), name, status, is_named=True)

    def _parent(self, root: str, relative: str) -> Source:
        real = self._real(f"{root}/{relative}")
        return Source(real, f"{self._destination}/{relative}".strip("/"), os.stat(real))

    def _below(self, directory: str, target: str, relative: str) -> Iterator[Source]:
        """Yield the content of a directory; `relative` is its own name below the source."""
        with os.scandir(self._real(directory)) as found:
            entries = sorted(found, key=lambda each: each.name)
        for entry in entries:
            path = f"{directory}/{entry.name}"
            inner = posixpath.join(relative, entry.name)
            is_directory = entry.is_dir(follow_symlinks=False)
            is_hidden = path[1:] in self._ignored or inner in self._excluded
            if is_hidden and not (
                is_directory and (self._ignored.has_exceptions or self._excluded.has_exceptions)
            ):
                continue
            name = posixpath.join(target, entry.name)
            if not is_hidden:
                status = entry.stat(follow_symlinks=False)
                yield Source(self._real(path), name, status)
            if is_directory:
                yield from self._below(path, name, inner)

    def _existing(self, root: str, source: str, *, required: bool) -> list[str]:
        """Return the paths below `root` that a source names.

        Raise InvalidConfig if none is there and one is `required`.
        """
        parts = [part for part in posixpath.normpath(f"/{source}").split("/") if part]
        found = [root]
        for part in parts:
            found = [path for parent in found for path in self._matching(parent, part)]
        kept = [path for path in found if not self._is_left_out(path)]
        if required and not kept:
            words = "is not there, or .dockerignore leaves it out"
            raise InvalidConfig(f"The source {source!r} {words}.")
        return kept

    def _matching(self, parent: str, part: str) -> list[str]:
        """Return the paths below `parent` that one part of a source names."""
        if part == "**":
            return [parent, *self._directories_below(parent)]
        if patterns.has_meta(part):
            names = patterns.matching(self._names(parent), part)
        else:
            # Where links are not followed, one that seems to lead nowhere may be none in its root.
            exists = os.path.lexists if self._prefix else os.path.exists
            names = [part] if exists(self._real(f"{parent}/{part}")) else []
        paths = [f"{parent}/{name}" for name in names]
        if self._prefix and any(os.path.islink(self._real(path)) for path in paths):
            raise LinkNamed
        return paths

    def _directories_below(self, parent: str) -> list[str]:
        found = []
        for name in sorted(self._names(parent)):
            path = f"{parent}/{name}"
            if stat.S_ISDIR(os.lstat(self._real(path)).st_mode):
                found += [path, *self._directories_below(path)]
        return found

    def _is_left_out(self, path: str) -> bool:
        """Return True for a source that .dockerignore leaves out with all that is in it."""
        if not path or path.strip("/") not in self._ignored:
            return False
        return not (self._ignored.has_exceptions and os.path.isdir(self._real(path)))

    def _names(self, directory: str) -> list[str]:
        try:
            return os.listdir(self._real(directory))
        except (FileNotFoundError, NotADirectoryError):
            return []
