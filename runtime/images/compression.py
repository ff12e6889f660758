"""Compressed layers: gzip and zstd streams of one or more members.

gzip is decompressed by isal if that is installed, because it is faster, else by zlib.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol

from runtime.errors import InvalidConfig, Unavailable

_GZIP = 16 + zlib.MAX_WBITS  # a gzip header and trailer around the deflated data (zlib.h)
_PIECE_BYTES = 1 << 20
# Zeros get 1,000 times smaller by gzip and 30,000 times by zstd: the content of one small
# piece might not fit into memory.
_LARGEST_CONTENT_BYTES = 8 << 20
_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


class _Decompressor(Protocol):
    """One member of a stream, as zlib, isal and zstd offer it."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


def inflate(pieces: Iterable[bytes], compression: str) -> Iterator[bytes]:
    """Yield the content of a stream. `compression` is `tar` (none), `gzip` or `zstd`.

    A part of it has at most 8 MiB. Raise InvalidConfig for a stream that is damaged, cut off or
    followed by other data, and Unavailable if no module for it is installed.
    """
    if compression == "tar":
        yield from pieces
        return
    new_member = _opener(compression)
    member: _Decompressor | None = None
    for piece in pieces:
        rest = piece
        while rest:
            if member is None:
                _check_magic(rest, compression)
                member = new_member()
            yield from _contents(member, rest, compression)
            rest = b""
            if member.eof:
                rest = member.unused_data
                member = None
    if member is not None:
        raise InvalidConfig(f"The {compression} stream of a layer ends too early.")


def checked(pieces: Iterable[bytes], compression: str, digest: str) -> Iterator[bytes]:
    """Yield the content of a stream. Raise InvalidConfig at its end if the digest is wrong."""
    algorithm, _, expected = digest.partition(":")
    hashed = hashlib.new(algorithm)
    for piece in inflate(pieces, compression):
        hashed.update(piece)
        yield piece
    if hashed.hexdigest() != expected:
        words = f"A layer unpacks to {algorithm}:{hashed.hexdigest()}, but its image says {digest}."
        raise InvalidConfig(words)


@dataclass(frozen=True, slots=True)
class Packed:
    """A compressed stream: its digest and size, and the digest of what is in it."""

    digest: str
    size_bytes: int
    content_digest: str


def pack(pieces: Iterable[bytes], file: IO[bytes]) -> Packed:
    """Write a gzip stream, the same bytes for the same content; digests are sha256."""
    packed, content, size_bytes = hashlib.sha256(), hashlib.sha256(), 0
    # Fast: a layer is written once and read by networks that are slower than any level.
    compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP)

    def compressed() -> Iterator[bytes]:
        for piece in pieces:
            content.update(piece)
            yield compressor.compress(piece)
        yield compressor.flush()

    for piece in compressed():
        packed.update(piece)
        size_bytes += len(piece)
        file.write(piece)
    return Packed(f"sha256:{packed.hexdigest()}", size_bytes, f"sha256:{content.hexdigest()}")


def pieces_of(file: IO[bytes], head: bytes = b"") -> Iterator[bytes]:
    """Yield `head`, which was read already, and the rest of a file."""
    if head:
        yield head
    while piece := file.read(_PIECE_BYTES):
        yield piece


def decompressed(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a file that is compressed by gzip, by zstd or not at all."""
    head = file.read(_PIECE_BYTES)
    yield from inflate(pieces_of(file, head), compression_of(head))


def compression_of(head: bytes) -> str:
    """Return the compression of a stream by its first bytes: `gzip`, `zstd` or `tar`."""
    return next((name for name, magic in _MAGIC.items() if head.startswith(magic)), "tar")


def _contents(member: _Decompressor, piece: bytes, compression: str) -> Iterator[bytes]:
    """Yield the content of a piece up to the end of the member, in parts of a limited size."""
    rest = piece
    while True:
        try:
            content = member.decompress(rest, _LARGEST_CONTENT_BYTES)
        except Exception as error:  # each of the modules has a class of its own
            why = f"The {compression} stream of a layer is damaged: {error}."
            raise InvalidConfig(why) from None
        if content:
            yield content
        if member.eof:
            return
        # zlib hands back the input that it did not use, zstd keeps it.
        rest = getattr(member, "unconsumed_tail", b"")
        if not rest and getattr(member, "needs_input", True):
            return


def _check_magic(piece: bytes, compression: str) -> None:
    if not _MAGIC[compression].startswith(piece[: len(_MAGIC[compression])]):
        raise InvalidConfig(f"A layer has the media type of {compression}, but other content.")


def _opener(compression: str) -> Callable[[], _Decompressor]:
    if compression == "gzip":
        try:
            from isal import isal_zlib
        except ImportError:
            return lambda: zlib.decompressobj(_GZIP)
        return lambda: isal_zlib.decompressobj(_GZIP)
    return lambda: zstd_module().ZstdDecompressor()


def zstd_module() -> Any:
    """Return the module for zstd: Python's from 3.14 on, else its backport. Raise Unavailable."""
    try:
        from compression import zstd
    except ImportError:
        try:
            from backports import zstd
        except ImportError:
            raise Unavailable("A layer is compressed by zstd: install backports.zstd.") from None
    return zstd
