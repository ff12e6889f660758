"""The process that reads the sources of COPY and ADD from the context, a stage or an image.

With `list` it writes names and digests of the sources, the inputs of a step; with `archive` it
writes their content as a layer. It changes its root to the sources, so no link leads out of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from runtime.build import added_archive, patterns
from runtime.errors import ContainerError, InvalidConfig, Unavailable
from runtime.images import compression, file_entry, tar_reader, tar_writer
from runtime.images.tar_reader import Entry
from runtime.linux import clone, mount, prctl

_PIECE_BYTES = 1 << 18


@dataclass(frozen=True)
class Request:
    """The sources to copy, and their destination.

    `root` is the directory of the sources. For an image, `lower` are its overlayfs layers, topmost
    first, relative to `root`. `destination` is absolute; with `into` it is a directory for the
    sources. `owner` and `mode` override those of the sources. `ignored` are the lines of
    .dockerignore. With `unpack` the content of local archives is copied.
    """

    root: str
    lower: list[str]
    sources: list[str]
    destination: str
    into: bool
    owner: tuple[int, int] | None
    mode: int | None
    parents: bool = False
    exclude: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    latest_ns: int | None = None
    unpack: bool = False


def main() -> int:
    """Carry out the task of the first argument for the request in the second."""
    prctl.set_parent_death_signal(signal.SIGKILL)
    task, request = sys.argv[1], Request(**json.loads(sys.argv[2]))
    if request.unpack:
        with suppress(Unavailable):
            compression.zstd_module()  # behind the change of root no module can be found
    try:
        _enter(request)
        if task == "list":
            sys.stdout.write(json.dumps([_described(each) for each in _found(request)]))
        else:
            for piece in _archive(request):
                sys.stdout.buffer.write(piece)
        sys.stdout.flush()
    except ContainerError as error:
        print(error, file=sys.stderr)
        return 3
    except OSError as error:
        print(f"{error.filename or request.root}: {error.strerror}", file=sys.stderr)
        return 4
    return 0


def _enter(request: Request) -> None:
    """Change the root to the sources."""
    if len(request.lower) > 1:
        os.chdir(request.root)
        clone.unshare(clone.NEWNS)
        mount.mount(None, b"/", None, mount.REC | mount.PRIVATE)
        options = f"lowerdir={':'.join(request.lower)}"
        root = os.fsencode(request.root)
        mount.mount(b"overlay", root, b"overlay", mount.RDONLY, os.fsencode(options))
        os.chroot(request.root)
    else:
        os.chroot(posixpath.join(request.root, *request.lower))
    os.chdir("/")


@dataclass(frozen=True)
class _Source:
    """A file or directory to copy, and its new name without a leading slash."""

    path: str
    name: str
    status: os.stat_result
    is_named: bool = False


def _found(request: Request) -> Iterator[_Source]:
    """Yield all files to copy, sorted, each directory before its content."""
    ignored = patterns.Ignored(request.ignored)
    excluded = patterns.Ignored(request.exclude)
    destination = request.destination.strip("/")
    for source in request.sources:
        for path in _expanded(source, ignored):
            status = os.stat(path)  # a source that is a link is followed
            parent = posixpath.dirname(path.strip("/")) if request.parents else ""
            target = posixpath.join(destination, parent)
            if stat.S_ISDIR(status.st_mode):
                if request.parents:
                    target = posixpath.join(target, posixpath.basename(path.rstrip("/")))
                yield _Source(path, target.strip("/"), status)
                yield from _below(path, target, ignored, excluded, path.strip("/"))
            elif request.into or request.parents:
                name = posixpath.join(target, posixpath.basename(path)).strip("/")
                yield _Source(path, name, status, is_named=True)
            else:
                yield _Source(path, destination, status, is_named=True)


def _below(
    directory: str,
    target: str,
    ignored: patterns.Ignored,
    excluded: patterns.Ignored,
    prefix: str,
) -> Iterator[_Source]:
    with os.scandir(directory) as found:
        entries = sorted(found, key=lambda each: each.name)
    for entry in entries:
        relative = posixpath.join(prefix, entry.name)
        is_directory = entry.is_dir(follow_symlinks=False)
        hidden = relative in ignored or relative in excluded
        if hidden and not (is_directory and (ignored.has_exceptions or excluded.has_exceptions)):
            continue
        name = posixpath.join(target, entry.name).strip("/")
        below = _below(entry.path, name, ignored, excluded, relative) if is_directory else iter(())
        if hidden:
            yield from below
            continue
        yield _Source(entry.path, name, entry.stat(follow_symlinks=False))
        yield from below


def _expanded(source: str, ignored: patterns.Ignored) -> list[str]:
    """Return the paths of a source. Raise InvalidConfig if there are none."""
    if posixpath.normpath(source.lstrip("/") or ".").startswith(".."):
        raise InvalidConfig(f"The source {source!r} leads out of where it is copied from.")
    path = "/" + posixpath.normpath("/" + source).lstrip("/")
    if not patterns.has_meta(path):
        if not os.path.exists(path) or (path != "/" and path.strip("/") in ignored):
            words = "is not there, or .dockerignore leaves it out"
            raise InvalidConfig(f"The source {source!r} {words}.")
        return [path]
    parts, found = path.strip("/").split("/"), [""]
    for part in parts:
        found = [
            posixpath.join(parent, name)
            for parent in found
            for name in patterns.matching(_names("/" + parent), part)
        ]
    kept = ["/" + each for each in found if each not in ignored]
    if not kept:
        raise InvalidConfig(f"No file matches the source {source!r}.")
    return kept


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _described(source: _Source) -> list[Any]:
    """Return the inputs of a step from a source: all but its time."""
    status = source.status
    content = ""
    if stat.S_ISREG(status.st_mode):
        digest = hashlib.sha256()
        with open(source.path, "rb", buffering=0) as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
        content = digest.hexdigest()
    elif stat.S_ISLNK(status.st_mode):
        content = os.readlink(source.path)
    return [source.name, f"{status.st_mode:o}", status.st_uid, status.st_gid, content]


def _archive(request: Request) -> Iterator[bytes]:
    written: set[str] = set()
    for source in _found(request):
        entry = _entry(source, request)
        if entry is None or (not entry.name and entry.kind == tar_reader.DIRECTORY):
            continue
        if entry.kind == tar_reader.DIRECTORY and source.name in written:
            continue  # two sources that are copied into one directory
        written.add(source.name)
        if request.unpack and _is_unpacked(source):
            yield from added_archive.unpacked(source.path, request.destination)
            continue
        yield tar_writer.header(entry)
        if entry.kind == tar_reader.REGULAR:
            yield from file_entry.content(os.fsencode(source.path), entry.size_bytes)
    yield tar_writer.END


def _is_unpacked(source: _Source) -> bool:
    """Return True for an archive that was named itself, not found in a directory."""
    return source.is_named and added_archive.is_archive(source.path)


def _entry(source: _Source, request: Request) -> Entry | None:
    """Return the entry of a source, or None for a device or a socket, which is left out."""
    path = os.fsencode(source.path)
    name = os.fsencode(source.name) + (b"/" if stat.S_ISDIR(source.status.st_mode) else b"")
    entry = file_entry.describe(path, name, source.status, request.latest_ns, _is_copied)
    if entry is None or entry.kind in (tar_reader.CHARACTER, tar_reader.BLOCK):
        return None
    if request.owner or not request.lower:
        entry.uid, entry.gid = request.owner or (0, 0)
    if request.mode is not None and entry.kind != tar_reader.SYMLINK:
        entry.mode = request.mode
    return entry


def _is_copied(attribute: str) -> bool:
    """Return True for the extended attributes that BuildKit copies too."""
    return attribute == "security.capability" or attribute.startswith("user.")


if __name__ == "__main__":
    sys.exit(main())
