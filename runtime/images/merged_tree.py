"""The merged tree of an image's layers, as one archive.

The layers are merged here as overlayfs merges them, not by a mount: this needs no privilege, and a
mount has room for a limited number of layers. (Linux, overlayfs.rst, "Merging directories")
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from runtime.images import file_entry, tar_reader, tar_writer
from runtime.images.layer_diff import is_kept, is_opaque
from runtime.images.tar_reader import Entry

_ROOT = b"./"


def archive(layers: Sequence[Path]) -> Iterator[bytes]:
    """Yield the archive of an image's tree, its entries sorted by name, the root first.

    `layers` are directories of overlayfs, topmost first. Sparse files stay sparse, and names of one
    file become hard links. Sockets are left out.
    """
    links = file_entry.Links()
    for path, name in _walk([os.fsencode(each) for each in layers]):
        status = os.lstat(path)
        entry = file_entry.describe(path, name, status, None, is_kept)
        if entry is None:
            continue
        links.resolve(entry, status)
        if entry.kind == tar_reader.REGULAR:
            yield from _file(path, entry, status)
        else:
            yield tar_writer.header(entry)
    yield tar_writer.END


def _file(path: bytes, entry: Entry, status: os.stat_result) -> Iterator[bytes]:
    entry.pieces = file_entry.sparse_pieces(path, status)
    yield tar_writer.header(entry)
    if entry.pieces is None:
        yield from file_entry.content(path, entry.size_bytes)
    else:
        yield from file_entry.sparse_content(path, entry.pieces)


def _walk(layers: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the path and the name of every visible file, each directory before its content.

    A stack in place of a recursion: a layer may have more levels than Python's own stack.
    """
    if not layers:
        return
    yield layers[0], _ROOT
    stack = [_merged(layers, b"")]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
            continue
        name, paths, is_directory = found
        if is_directory:
            name += b"/"
            stack.append(_merged(paths, name))
        yield paths[0], name


def _merged(directories: list[bytes], prefix: bytes) -> Iterator[tuple[bytes, list[bytes], bool]]:
    """Yield each visible name below one directory of the tree, sorted, with its paths.

    `directories` are the directory in each layer that has it, topmost first. A directory has a path
    for each layer that it is merged from; any other file has one.
    """
    found: dict[bytes, tuple[list[bytes], bool]] = {}
    hidden: set[bytes] = set()  # in the layers below
    for directory in directories:
        with os.scandir(directory) as entries:
            for each in entries:
                if each.name in hidden:
                    continue
                is_directory = each.is_dir(follow_symlinks=False)
                if not is_directory:
                    hidden.add(each.name)
                if each.name not in found:
                    if not _is_whiteout(each):
                        found[each.name] = [each.path], is_directory
                elif is_directory:
                    found[each.name][0].append(each.path)
        if prefix and is_opaque(directory):  # the roots of layers are always merged
            break
    for name in sorted(found):
        paths, is_directory = found[name]
        yield prefix + name, paths, is_directory


def _is_whiteout(entry: os.DirEntry[bytes]) -> bool:
    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False):
        return False
    status = entry.stat(follow_symlinks=False)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
