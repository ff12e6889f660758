"""Tar archives as streams of entries: ustar, GNU's and PAX's extensions, sparse files.

Python's tarfile is several times slower, since it seeks in the file and keeps a dictionary for each
entry. (tar(5); POSIX pax, "pax Header Block")
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from runtime.errors import InvalidConfig

BLOCK_BYTES = 512
REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK, DIRECTORY, FIFO = "0", "1", "2", "3", "4", "5", "6"

_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK, _SPARSE = "x", "g", "L", "K", "S"
_FILES = ("0", "\0", "7", _SPARSE)
_WITHOUT_CONTENT = (HARD_LINK, SYMLINK, CHARACTER, BLOCK, DIRECTORY, FIFO)
_LARGEST_HEADER_BYTES = 1 << 20
_MOST_PIECES = 1 << 20
_MOST_DIGITS = 20
# The kernel's limits: -1 stands for no change of an owner; a device number has 12 and 20 bits.
_LARGEST_ID = (1 << 32) - 2
_LARGEST_SIZE_BYTES = (1 << 63) - 1
_LARGEST_MAJOR, _LARGEST_MINOR = (1 << 12) - 1, (1 << 20) - 1
# No file system has such times, and their conversion can't overflow.
_LARGEST_TIME_NS = 1 << 90
_XATTR = "SCHILY.xattr."
_NANOSECONDS = 1_000_000_000
_END = bytes(BLOCK_BYTES)


@dataclass(slots=True)
class Entry:
    """One entry of an archive. Names are bytes.

    The archive holds `size_bytes` of content. A sparse file is `length_bytes` long, and `pieces`
    are the offset and the size of each part that is not a hole. They are None for other files.
    """

    name: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    size_bytes: int
    length_bytes: int
    mtime_ns: int
    link: bytes
    major: int
    minor: int
    xattrs: dict[str, bytes] = field(default_factory=dict)
    pieces: list[tuple[int, int]] | None = None


class TarReader:
    """Iterates over the entries of an archive.

    `pieces` yields the bytes of the archive. `content` yields the content of the current entry; the
    rest of it is skipped. Raise InvalidConfig for a stream that is not an archive or ends too
    early.
    """

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._piece = b""
        self._at = 0
        self._left_bytes = 0
        self._padding_bytes = 0
        self._defaults: dict[str, bytes] = {}
        self._defaults_bytes = 0

    def __iter__(self) -> Iterator[Entry]:
        records: dict[str, bytes] = {}
        extended_bytes = self._defaults_bytes
        while header := self._header():
            kind = chr(header[156])
            size_bytes = _number(header, 124, 12, "size")
            if kind in (_EXTENDED, _GLOBAL, _LONG_NAME, _LONG_LINK):
                extended_bytes += size_bytes
                if extended_bytes > _LARGEST_HEADER_BYTES:
                    words = f"extended headers of {extended_bytes} bytes"
                    raise InvalidConfig(f"The archive has {words}.")
                document = self._document(size_bytes)
                if kind == _LONG_NAME:
                    records["path"] = document.rstrip(b"\0")
                elif kind == _LONG_LINK:
                    records["linkpath"] = document.rstrip(b"\0")
                elif kind == _EXTENDED:
                    records.update(_records(document))
                else:
                    self._defaults.update(_records(document))
                    self._defaults_bytes += size_bytes
                continue
            entry = _entry(header, kind, size_bytes, {**self._defaults, **records})
            records = {}
            extended_bytes = self._defaults_bytes
            self._begin(entry.size_bytes)
            if kind == _SPARSE:
                self._read_old_sparse_map(header, entry)
            elif entry.pieces is not None and not entry.pieces:
                self._read_sparse_map(entry)
            yield entry
            self._skip()

    def content(self, piece_bytes: int = 1 << 18) -> Iterator[bytes]:
        """Yield the rest of the current entry's content, in pieces."""
        while self._left_bytes:
            yield self._take(min(self._left_bytes, piece_bytes))

    def pieces(self, entry: Entry) -> Iterator[tuple[int, bytes]]:
        """Yield the content of a sparse entry, each piece with its offset in the file."""
        for offset, size_bytes in entry.pieces or ():
            left_bytes = size_bytes
            while left_bytes:
                piece = self._take(min(left_bytes, 1 << 18))
                yield offset + size_bytes - left_bytes, piece
                left_bytes -= len(piece)

    def _header(self) -> bytes:
        """Return the next header, or nothing at the end of the archive."""
        header = self._exactly(BLOCK_BYTES, at_end=True)
        if not header or header == _END:
            return b""
        expected = _number(header, 148, 8, "checksum")
        if expected != sum(header) - sum(header[148:156]) + 8 * 0x20:
            raise InvalidConfig("The archive has a header whose checksum is wrong.")
        return header

    def _document(self, size_bytes: int) -> bytes:
        document = self._exactly(size_bytes)
        self._exactly(-size_bytes % BLOCK_BYTES)
        return document

    def _begin(self, size_bytes: int) -> None:
        self._left_bytes = size_bytes
        self._padding_bytes = -size_bytes % BLOCK_BYTES

    def _skip(self) -> None:
        for _ in self.content():
            pass
        self._exactly(self._padding_bytes)
        self._padding_bytes = 0

    def _read(self, size_bytes: int) -> bytes:
        """Return at most `size_bytes` bytes, or nothing at the end of the archive."""
        while self._at == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._piece, self._at = piece, 0
        part = self._piece[self._at : self._at + size_bytes]
        self._at += len(part)
        return part

    def _take(self, size_bytes: int) -> bytes:
        if size_bytes > self._left_bytes:
            raise InvalidConfig("The archive has a sparse file whose pieces exceed its content.")
        piece = self._read(size_bytes)
        if not piece:
            raise InvalidConfig("The archive ends inside a file.")
        self._left_bytes -= len(piece)
        return piece

    def _take_block(self) -> bytes:
        block = self._take(BLOCK_BYTES)
        while len(block) < BLOCK_BYTES:
            block += self._take(BLOCK_BYTES - len(block))
        return block

    def _exactly(self, size_bytes: int, *, at_end: bool = False) -> bytes:
        content = self._read(size_bytes) if size_bytes else b""
        while len(content) < size_bytes:
            piece = self._read(size_bytes - len(content))
            if not piece:
                if at_end and not content:
                    return b""
                raise InvalidConfig("The archive ends inside an entry.")
            content += piece
        return content

    def _read_old_sparse_map(self, header: bytes, entry: Entry) -> None:
        """Read the map of GNU's old format: four pieces in the header, more in blocks behind it."""
        pieces = _old_pieces(header, 386, 4)
        more = header[482]
        while more:
            block = self._exactly(BLOCK_BYTES)
            pieces += _old_pieces(block, 0, 21)
            more = block[504]
            _check_pieces(len(pieces))
        entry.pieces = pieces
        entry.length_bytes = _number(header, 483, 12, "real size")
        if entry.length_bytes > _LARGEST_SIZE_BYTES:
            raise InvalidConfig(f"The archive has a file of {entry.length_bytes} bytes.")

    def _read_sparse_map(self, entry: Entry) -> None:
        """Read the map of PAX's format 1.0: decimal lines at the head of the content."""
        unread = b""

        def line() -> int:
            nonlocal unread
            while b"\n" not in unread:
                if len(unread) > _MOST_DIGITS:
                    raise InvalidConfig("The archive has a sparse file whose map is damaged.")
                unread += self._take_block()
            text, _, unread = unread.partition(b"\n")
            return _decimal(text, "sparse map")

        count = line()
        _check_pieces(count)
        entry.pieces = [(line(), line()) for _ in range(count)]


def _entry(header: bytes, kind: str, size_bytes: int, records: dict[str, bytes]) -> Entry:
    """Return the entry of a header and of the records that came before it."""
    name = _text(header, 0, 100)
    if header[257:263] == b"ustar\0" and (prefix := _text(header, 345, 155)):
        name = prefix + b"/" + name
    entry = Entry(
        name=records.get("path") or name,
        kind=REGULAR if kind in _FILES else kind,
        mode=_number(header, 100, 8, "mode") & 0o7777,
        uid=_number(header, 108, 8, "uid"),
        gid=_number(header, 116, 8, "gid"),
        size_bytes=size_bytes,
        length_bytes=size_bytes,
        mtime_ns=_number(header, 136, 12, "mtime") * _NANOSECONDS,
        link=records.get("linkpath") or _text(header, 157, 100),
        major=_number(header, 329, 8, "device"),
        minor=_number(header, 337, 8, "device"),
    )
    if records.get("size"):  # first, because the real size of a sparse file is another
        entry.size_bytes = entry.length_bytes = _decimal(records["size"], "size")
    for key, value in records.items():
        _apply(entry, key, value)
    if entry.kind == REGULAR and entry.name.endswith(b"/"):
        entry.kind = DIRECTORY  # as tar wrote directories before POSIX
    if entry.kind in _WITHOUT_CONTENT:
        entry.size_bytes = entry.length_bytes = 0
    _check(entry)
    return entry


def _apply(entry: Entry, key: str, value: bytes) -> None:
    """Apply a PAX record that overrides what the header says.

    An empty one leaves the header's value; an extended attribute may be empty.
    """
    if key.startswith(_XATTR):
        entry.xattrs[key.removeprefix(_XATTR)] = value
    elif not value:
        pass
    elif key in ("GNU.sparse.size", "GNU.sparse.realsize"):
        entry.length_bytes = _decimal(value, key)
    elif key == "uid":
        entry.uid = _decimal(value, key)
    elif key == "gid":
        entry.gid = _decimal(value, key)
    elif key == "mtime":
        entry.mtime_ns = _nanoseconds(value)
    elif key == "GNU.sparse.name":
        entry.name = value
    elif key == "GNU.sparse.major" and value == b"1":
        entry.pieces = []
    elif key == "GNU.sparse.map":
        numbers = [_decimal(each, key) for each in value.split(b",")]
        if len(numbers) % 2:
            raise InvalidConfig("The archive has a sparse file whose map is damaged.")
        entry.pieces = list(zip(numbers[::2], numbers[1::2], strict=True))
    elif key == "GNU.sparse.offset":
        raise InvalidConfig("The archive has a sparse file of the format 0.0, which is not read.")


def _check(entry: Entry) -> None:
    """Refuse numbers that no file can have, and names that no system call takes."""
    if (
        entry.uid > _LARGEST_ID
        or entry.gid > _LARGEST_ID
        or entry.length_bytes > _LARGEST_SIZE_BYTES
        or entry.size_bytes > _LARGEST_SIZE_BYTES
        or abs(entry.mtime_ns) > _LARGEST_TIME_NS
    ):
        raise InvalidConfig(
            f"The archive has an entry with a number that no file can have: uid {entry.uid}, "
            f"gid {entry.gid}, {entry.length_bytes} bytes, mtime {entry.mtime_ns} ns."
        )
    if entry.kind in (CHARACTER, BLOCK) and (
        entry.major > _LARGEST_MAJOR or entry.minor > _LARGEST_MINOR
    ):
        numbers = f"{entry.major}:{entry.minor}"
        raise InvalidConfig(f"The archive has a device {numbers}, which Linux does not have.")
    if (
        b"\0" in entry.name
        or b"\0" in entry.link
        or (entry.xattrs and any("\0" in name for name in entry.xattrs))
    ):
        raise InvalidConfig("The archive has an entry with a zero byte in a name.")


def _check_pieces(count: int) -> None:
    if count > _MOST_PIECES:
        raise InvalidConfig(f"The archive has a sparse file of more than {_MOST_PIECES} pieces.")


def _records(document: bytes) -> dict[str, bytes]:
    """Return the records of an extended header: `LENGTH KEY=VALUE\\n` each."""
    records = {}
    while document:
        length, space, _ = document.partition(b" ")
        size_bytes = _decimal(length, "record")
        record, document = document[:size_bytes], document[size_bytes:]
        key, equals, value = record[len(length) + 1 :].partition(b"=")
        if not space or not equals or not value.endswith(b"\n") or len(record) != size_bytes:
            raise InvalidConfig("The archive has an extended header that is damaged.")
        records[key.decode("utf-8", "surrogateescape")] = value[:-1]
    return records


def _text(header: bytes, start: int, size_bytes: int) -> bytes:
    return header[start : start + size_bytes].partition(b"\0")[0]


def _number(header: bytes, start: int, size_bytes: int, what: str) -> int:
    """Return a number of a header: octal digits, or base 256 where the first bit is set."""
    raw = header[start : start + size_bytes]
    if raw[0] == 0xFF:
        value = int.from_bytes(raw, "big", signed=True)
    elif raw[0] & 0x80:
        value = int.from_bytes(bytes([raw[0] & 0x7F]) + raw[1:], "big")
    else:
        digits = raw.strip(b" \0")
        try:
            value = int(digits, 8) if digits else 0
        except ValueError:
            raise InvalidConfig(f"The archive has a header whose {what} is no number.") from None
    if value < 0 and what != "mtime":
        raise InvalidConfig(f"The archive has an entry with the negative {what} {value}.")
    return value


def _decimal(value: bytes, what: str) -> int:
    if not value.isdigit() or len(value) > _MOST_DIGITS:
        shown = value[:40].decode("utf-8", "backslashreplace")
        raise InvalidConfig(f"The archive has an entry whose {what} is {shown!r}, not a number.")
    return int(value)


def _nanoseconds(value: bytes) -> int:
    """Return nanoseconds of seconds with a decimal fraction, without rounding."""
    sign = -1 if value.startswith(b"-") else 1
    whole, _, fraction = value.lstrip(b"-").partition(b".")
    is_number = whole.isdigit() and len(whole) <= _MOST_DIGITS
    if not is_number or (fraction and not fraction.isdigit()):
        raise InvalidConfig("The archive has an entry whose mtime is no number.")
    return sign * (int(whole) * _NANOSECONDS + int((fraction + b"000000000")[:9]))


def _old_pieces(block: bytes, start: int, count: int) -> list[tuple[int, int]]:
    pieces = []
    for at in range(start, start + 24 * count, 24):
        if block[at] == 0:
            break
        pieces.append((_number(block, at, 12, "offset"), _number(block, at + 12, 12, "size")))
    return pieces
