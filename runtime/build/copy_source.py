"""The process that reads the sources of COPY and ADD from the context, a stage or an image.

With `list` it writes names and digests of the sources, the inputs of a step; with `archive` it
writes their entries as those of a layer. It changes its root to the sources, so no link leads out
of them.
"""

from __future__ import annotations

import json
import os
import posixpath
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress

from runtime.build import added_archive, modes
from runtime.build.source_walk import NEW_DIRECTORY_MODE, Request, Source, Walk
from runtime.errors import ContainerError, Unavailable
from runtime.images import compression, file_entry, tar_reader, tar_writer
from runtime.images.tar_reader import Entry
from runtime.linux import clone, mount, prctl
from runtime.linux.users import in_user_namespace

REFUSED, FAILED = 3, 4


def main() -> int:
    """Carry out the task of the first argument for the request in the second."""
    prctl.set_parent_death_signal(signal.SIGKILL)
    task, request = sys.argv[1], Request(**json.loads(sys.argv[2]))
    if request.unpack:
        with suppress(Unavailable):
            compression.zstd_module()  # behind the change of root no module can be found
    try:
        _enter(request)
        walk = Walk(request)
        if task == "list":
            sys.stdout.write(json.dumps([walk.described(each) for each in walk.sources()]))
        else:
            for piece in _entries(request, walk):
                sys.stdout.buffer.write(piece)
        sys.stdout.flush()
    except ContainerError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except OSError as error:
        print(f"{error.filename or request.root}: {error.strerror}", file=sys.stderr)
        return FAILED
    return 0


def _enter(request: Request) -> None:
    """Change the root to the sources."""
    if len(request.lower) > 1:
        os.chdir(request.root)
        clone.unshare(clone.NEWNS)
        mount.mount(None, b"/", None, mount.REC | mount.PRIVATE)
        own = ",userxattr" if in_user_namespace() else ""
        options = f"lowerdir={':'.join(request.lower)}{own}"
        root = os.fsencode(request.root)
        mount.mount(b"overlay", root, b"overlay", mount.RDONLY, os.fsencode(options))
        os.chroot(request.root)
    else:
        os.chroot(posixpath.join(request.root, *request.lower))
    os.chdir("/")


def _entries(request: Request, walk: Walk) -> Iterator[bytes]:
    written: set[str] = set()
    linked: dict[tuple[int, int], bytes] = {}
    for source in walk.sources():
        entry = _entry(source, request)
        if entry is None or (not entry.name.strip(b"/") and entry.kind == tar_reader.DIRECTORY):
            continue
        if entry.kind == tar_reader.DIRECTORY and source.name in written:
            continue  # two sources that are copied into one directory
        written.add(source.name)
        if request.unpack and _is_unpacked(source):
            yield from added_archive.unpacked(source.path, request.destination)
            continue
        if entry.kind == tar_reader.REGULAR and source.status.st_nlink > 1 and not source.is_named:
            _link(entry, linked, (source.status.st_dev, source.status.st_ino))
        yield tar_writer.header(entry)
        if entry.kind == tar_reader.REGULAR:
            yield from file_entry.content(os.fsencode(source.path), entry.size_bytes)


def _link(entry: Entry, linked: dict[tuple[int, int], bytes], key: tuple[int, int]) -> None:
    """Make the entry a hard link if the file was written under another name."""
    first = linked.setdefault(key, entry.name)
    if first != entry.name:
        entry.kind, entry.link = tar_reader.HARD_LINK, first
        entry.size_bytes = entry.length_bytes = 0


def _is_unpacked(source: Source) -> bool:
    """Return True for an archive that was named itself, not found in a directory."""
    return source.is_named and added_archive.is_archive(source.path)


def _entry(source: Source, request: Request) -> Entry | None:
    """Return the entry of a source, or None for a socket, and for a device that is not kept."""
    path = os.fsencode(source.path)
    is_directory = stat.S_ISDIR(source.status.st_mode)
    name = os.fsencode(source.name) + (b"/" if is_directory else b"")
    keeps = _is_exported if request.whole else _is_copied
    entry = file_entry.describe(path, name, source.status, request.latest_ns, keeps)
    is_device = entry and entry.kind in (tar_reader.CHARACTER, tar_reader.BLOCK)
    if entry is None or (is_device and not request.whole):
        return None
    if source.is_destination:
        entry.mode = NEW_DIRECTORY_MODE
        entry.uid, entry.gid = request.owner or (0, 0)
        return entry
    if request.owner or not request.lower:
        entry.uid, entry.gid = request.owner or (0, 0)
    if request.mode is not None and entry.kind != tar_reader.SYMLINK:
        entry.mode = modes.changed(request.mode, entry.mode, is_directory=is_directory)
    return entry


def _is_copied(attribute: str) -> bool:
    """Return True for the extended attributes that BuildKit copies too."""
    return attribute == "security.capability" or attribute.startswith("user.")


def _is_exported(attribute: str) -> bool:
    """Return True for all attributes but labels, which belong to the host, and overlayfs'."""
    return not attribute.startswith(("security.selinux", "trusted.overlay."))


if __name__ == "__main__":
    sys.exit(main())
