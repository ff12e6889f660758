"""Archives that ADD unpacks: tar, plain or compressed by gzip, bzip2, xz or zstd.

A file is recognized by its content, as docker does. (docker, "Dockerfile reference", "ADD")
"""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Iterator
from dataclasses import replace
from typing import IO

from runtime.errors import InvalidConfig
from runtime.images import compression, tar_reader, tar_writer
from runtime.images.tar_reader import TarReader

_HEAD_BYTES = 1 << 18
_MAGIC = {"bzip2": b"BZh", "xz": b"\xfd7zXZ\0"}


def is_archive(path: str) -> bool:
    """Return True if the file is a tar archive, which may be compressed."""
    try:
        with open(path, "rb") as file:
            # A file of zeros ends before its first entry, and is not an archive for docker either.
            return next(iter(TarReader(decompressed(file))), None) is not None
    except (InvalidConfig, OSError, EOFError, lzma.LZMAError):
        return False


def unpacked(path: str, destination: str) -> Iterator[bytes]:
    """Yield the entries of an archive as entries below `destination`.

    They keep their owners, as in docker. Raise InvalidConfig for a damaged archive.
    """
    prefix = destination.strip("/").encode()
    with open(path, "rb") as file:
        reader = TarReader(decompressed(file))
        for entry in reader:
            name = _below(prefix, entry.name)
            link = _below(prefix, entry.link) if entry.kind == tar_reader.HARD_LINK else entry.link
            if entry.pieces is None:
                yield tar_writer.header(replace(entry, name=name, link=link))
                yield from reader.content()
                yield tar_writer.padding(entry.size_bytes)
                continue
            size = entry.length_bytes
            yield tar_writer.header(replace(entry, name=name, size_bytes=size, pieces=None))
            yield from _filled(reader, entry)


def decompressed(file: IO[bytes], head: bytes = b"") -> Iterator[bytes]:
    """Yield the decompressed content of a file, whose beginning may have been read already."""
    if len(head) < _HEAD_BYTES:
        head += file.read(_HEAD_BYTES)
    kind = next((name for name, magic in _MAGIC.items() if head.startswith(magic)), "")
    pieces = compression.pieces_of(file, head)
    if not kind:
        yield from compression.inflate(pieces, compression.compression_of(head))
        return
    decompressor = bz2.BZ2Decompressor() if kind == "bzip2" else lzma.LZMADecompressor()
    for piece in pieces:
        if decompressor.eof:
            break
        yield decompressor.decompress(piece)


def _below(prefix: bytes, name: bytes) -> bytes:
    return prefix + b"/" + name if prefix else name


def _filled(reader: TarReader, entry: tar_reader.Entry) -> Iterator[bytes]:
    """Yield the content of a sparse file with its holes."""
    at_bytes = 0
    for offset, piece in reader.pieces(entry):
        yield from tar_writer.zeros(offset - at_bytes)
        yield piece
        at_bytes = offset + len(piece)
    yield from tar_writer.zeros(entry.length_bytes - at_bytes)
    yield tar_writer.padding(entry.length_bytes)
