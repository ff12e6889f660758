"""Tar archives as streams of bytes, the same for the same entries.

Headers are ustar headers. Values that do not fit are in a PAX extended header. Names of users and
groups are left out, because they belong to the host. (POSIX, "pax")
"""

from __future__ import annotations

from collections.abc import Iterator

from runtime.images.tar_reader import BLOCK_BYTES, Entry

END = bytes(2 * BLOCK_BYTES)

_NANOSECONDS = 1_000_000_000
_LARGEST_OCTAL = {8: 0o7777777, 12: 0o77777777777}
_LONGEST_NAME = 100
_PIECE_BYTES = 1 << 18
_SPARSE_NAME = b"GNUSparseFile.0/file"


def header(entry: Entry) -> bytes:
    """Return the header of an entry, preceded by an extended one if it needs one.

    The header of a sparse entry has the map of its pieces behind it, and the content is the pieces
    alone. (GNU tar, "PAX Format, Version 1.0")
    """
    records: dict[str, bytes] = {}
    name, size_bytes, sparse_map = entry.name, entry.size_bytes, b""
    if entry.pieces is not None:
        sparse_map = _sparse_map(entry.pieces)
        size_bytes = len(sparse_map) + sum(piece_bytes for _, piece_bytes in entry.pieces)
        records |= {
            "GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.name": name,
            "GNU.sparse.realsize": str(entry.length_bytes).encode(),
        }  # fmt: skip
        # A reader that does not know sparse files must not take the map for the file's content.
        name = _SPARSE_NAME
    if len(name) > _LONGEST_NAME or not name.isascii():
        records["path"] = name
    if len(entry.link) > _LONGEST_NAME or not entry.link.isascii():
        records["linkpath"] = entry.link
    seconds, fraction = divmod(entry.mtime_ns, _NANOSECONDS)
    if fraction or not 0 <= seconds <= _LARGEST_OCTAL[12]:
        records["mtime"] = _decimal_seconds(entry.mtime_ns)
    for key, value in (("uid", entry.uid), ("gid", entry.gid)):
        if value > _LARGEST_OCTAL[8]:
            records[key] = str(value).encode()
    if size_bytes > _LARGEST_OCTAL[12]:
        records["size"] = str(size_bytes).encode()
    records.update((f"SCHILY.xattr.{key}", value) for key, value in sorted(entry.xattrs.items()))
    return _extended(records) + _header(entry, entry.kind, name, size_bytes) + sparse_map


def padding(size_bytes: int) -> bytes:
    """Return the zeros that follow a content of this size."""
    return bytes(-size_bytes % BLOCK_BYTES)


def zeros(size_bytes: int) -> Iterator[bytes]:
    """Yield this many zeros, in pieces."""
    while size_bytes > 0:
        yield bytes(min(size_bytes, _PIECE_BYTES))
        size_bytes -= _PIECE_BYTES


def document(entry: Entry, content: bytes) -> Iterator[bytes]:
    """Yield an entry with a content that is in memory."""
    yield header(entry)
    yield content
    yield padding(len(content))


def _sparse_map(pieces: list[tuple[int, int]]) -> bytes:
    lines = [len(pieces), *(number for piece in pieces for number in piece)]
    document = b"".join(b"%d\n" % each for each in lines)
    return document + padding(len(document))


def _extended(records: dict[str, bytes]) -> bytes:
    if not records:
        return b""
    body = b"".join(_record(key, value) for key, value in sorted(records.items()))
    own = Entry(b"./PaxHeaders/entry", "x", 0o644, 0, 0, len(body), len(body), 0, b"", 0, 0)
    return _header(own, "x", own.name, len(body)) + body + padding(len(body))


def _record(key: str, value: bytes) -> bytes:
    """Return `LENGTH KEY=VALUE\\n`, whose length counts its own digits."""
    rest = b" " + key.encode("utf-8", "surrogateescape") + b"=" + value + b"\n"
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def _header(entry: Entry, kind: str, name: bytes, size_bytes: int) -> bytes:
    seconds = entry.mtime_ns // _NANOSECONDS
    raw = b"".join(
        (
            name[:_LONGEST_NAME].ljust(100, b"\0"),
            _octal(entry.mode, 8),
            _octal(entry.uid, 8),
            _octal(entry.gid, 8),
            _octal(size_bytes, 12),
            _octal(seconds, 12),
            b" " * 8,
            kind.encode(),
            entry.link[:_LONGEST_NAME].ljust(100, b"\0"),
            b"ustar\x0000".ljust(72, b"\0"),
            _octal(entry.major, 8),
            _octal(entry.minor, 8),
        )
    ).ljust(BLOCK_BYTES, b"\0")
    checksum = b"%06o\0 " % sum(raw)
    return raw[:148] + checksum + raw[156:]


def _octal(value: int, size_bytes: int) -> bytes:
    """Return digits and a zero; what does not fit stands in the extended header instead."""
    fitting = value if 0 <= value <= _LARGEST_OCTAL[size_bytes] else 0
    return b"%0*o\0" % (size_bytes - 1, fitting)


def _decimal_seconds(nanoseconds: int) -> bytes:
    sign = "-" if nanoseconds < 0 else ""
    seconds, fraction = divmod(abs(nanoseconds), _NANOSECONDS)
    return f"{sign}{seconds}.{fraction:09d}".rstrip("0").rstrip(".").encode()
