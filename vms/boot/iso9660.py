"""Small ISO 9660 images: one directory of files, whose names are stored by Rock Ridge.

(ECMA-119; IEEE P1281 and P1282)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from vms.errors import InvalidImage, os_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SECTOR = 2048
_DESCRIPTOR_SECTOR, _PATHS_LITTLE, _PATHS_BIG, _ROOT, _FIRST_FILE = 16, 18, 19, 20, 21
_DIRECTORY, _FILE = 2, 0
_MODES = {_DIRECTORY: 0o040755, _FILE: 0o100644}
# No time is written, so that the same files give the same image: 1970, and "not specified".
_RECORD_TIME = bytes((70, 1, 1, 0, 0, 0, 0))
_VOLUME_TIME = b"0" * 16 + b"\0"
_LONGEST_LABEL = 32
_PATH_TABLE_BYTES = 10
_MAGIC_AT, _MAGIC, _LABEL_AT, _ROOT_RECORD_AT = 1, b"CD001", 40, 156
_NAME_AT, _IS_DIRECTORY = 33, 2
_MAX_BYTES = 64 << 20  # images are read as a whole


@dataclass(frozen=True, slots=True)
class Contents:
    """An image's volume label, and the files of its root directory by name."""

    label: str
    files: dict[str, bytes]


def read(path: Path) -> Contents:
    """Return the contents of an image.

    Raises MachineError for a file of another format, and for an image above 64 MiB.
    """
    try:
        with path.open("rb") as file:
            image = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise os_error(f"Can't read {path}", error) from error
    volume = image[_DESCRIPTOR_SECTOR * _SECTOR :][:_SECTOR]
    has_magic = volume[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC and len(volume) == _SECTOR
    if not has_magic or len(image) > _MAX_BYTES:
        raise InvalidImage(f"{path} is not an ISO 9660 image of at most {_MAX_BYTES >> 20} MiB.")
    label = volume[_LABEL_AT : _LABEL_AT + _LONGEST_LABEL].decode("ascii", "replace").strip()
    try:
        root = _extent(volume[_ROOT_RECORD_AT:], image)
        return Contents(label, {name: _extent(record, image) for name, record in _entries(root)})
    except (struct.error, IndexError) as error:
        raise InvalidImage(f"{path} is a truncated or damaged ISO 9660 image.") from error


def _entries(directory: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the names and the records of a directory's files."""
    at = 0
    while at < len(directory):
        length = directory[at]
        if not length:  # no record crosses the end of a sector
            at = (at // _SECTOR + 1) * _SECTOR
            continue
        record = directory[at : at + length]
        if not record[25] & _IS_DIRECTORY:
            yield _name(record), record
        at += length


def _name(record: bytes) -> str:
    """Return a file's name by Rock Ridge, else its identifier in lower case without the version."""
    end = _NAME_AT + record[32]
    at, name = end + 1 - record[32] % 2, b""
    while at + 4 <= len(record) and record[at + 2] > 4:
        if record[at : at + 2] == b"NM":
            name += record[at + 5 : at + record[at + 2]]
        at += record[at + 2]
    if name:
        return name.decode(errors="replace")
    return record[_NAME_AT:end].decode("ascii", "replace").partition(";")[0].rstrip(".").lower()


def _extent(record: bytes, image: bytes) -> bytes:
    (sector,), (length,) = struct.unpack_from("<I", record, 2), struct.unpack_from("<I", record, 10)
    content = image[sector * _SECTOR : sector * _SECTOR + length]
    if len(content) < length:
        raise IndexError(sector)
    return content


def write(destination: IO[bytes], label: str, files: Mapping[str, bytes]) -> None:
    """Write an image with a volume label. Raises ValueError if the names exceed a sector."""
    directory = _directory(files)
    if len(directory) > _SECTOR or len(label) > _LONGEST_LABEL:
        raise ValueError("too many names, or too long a label")
    sectors = _FIRST_FILE + sum(_sectors(content) for content in files.values())
    parts = (
        bytes(_DESCRIPTOR_SECTOR * _SECTOR),
        _volume(label, sectors),
        b"\xffCD001\x01",
        _path_table("<"),
        _path_table(">"),
        directory,
        *files.values(),
    )
    for part in parts:
        destination.write(part.ljust(-(-len(part) // _SECTOR) * _SECTOR, b"\0"))


def _directory(files: Mapping[str, bytes]) -> bytes:
    """Return the records of the directory itself, of its parent (itself again) and of the files.

    The files' identifiers are numbered, so that they sort in the order of the records.
    """
    rock_ridge = b"SP\x07\x01\xbe\xef\0" + b"ER\x12\x01\x0a\0\0\x01RRIP_1991A"
    itself = _record(b"\0", _ROOT, _SECTOR, _DIRECTORY, rock_ridge)
    records = [itself, _record(b"\1", _ROOT, _SECTOR, _DIRECTORY)]
    at = _FIRST_FILE
    for number, (name, content) in enumerate(files.items()):
        identifier = f"FILE{number:04}.;1".encode()
        encoded = name.encode()
        rock_ridge_name = b"NM" + bytes((5 + len(encoded), 1, 0)) + encoded
        records.append(_record(identifier, at, len(content), _FILE, rock_ridge_name))
        at += _sectors(content)
    return b"".join(records)


def _record(identifier: bytes, at: int, length: int, kind: int, extra: bytes = b"") -> bytes:
    """Return a directory record: the identifier, then Rock Ridge's fields. (ECMA-119, 9.1)"""
    links = 2 if kind == _DIRECTORY else 1
    owner = b"PX\x24\x01" + b"".join(_both(each) for each in (_MODES[kind], links, 0, 0))
    body = b"".join(
        (b"\0", _both(at), _both(length), _RECORD_TIME, bytes((kind, 0, 0)), _both(1, "H"),
         bytes((len(identifier),)), identifier, b"" if len(identifier) % 2 else b"\0",
         extra, owner)
    )  # fmt: skip
    body += b"\0" * ((len(body) + 1) % 2)
    return bytes((len(body) + 1,)) + body


def _volume(label: str, sectors: int) -> bytes:
    """Return the primary volume descriptor. (ECMA-119, 8.4)"""
    root = (
        b"\x22\0" + _both(_ROOT) + _both(_SECTOR) + _RECORD_TIME
        + bytes((_DIRECTORY, 0, 0)) + _both(1, "H") + b"\x01\0"
    )  # fmt: skip
    return b"".join(
        (
            b"\x01CD001\x01\0",
            b" " * 32,  # system identifier
            label.encode().ljust(_LONGEST_LABEL),
            bytes(8),
            _both(sectors),
            bytes(32),
            _both(1, "H") * 2,  # volume set size and sequence number
            _both(_SECTOR, "H"),
            _both(_PATH_TABLE_BYTES),
            struct.pack("<II", _PATHS_LITTLE, 0),
            struct.pack(">II", _PATHS_BIG, 0),
            root,
            b" " * 623,  # publisher, preparer and other identifiers
            _VOLUME_TIME * 4,
            b"\x01",
        )
    )


def _path_table(order: str) -> bytes:
    """Return a path table with the root alone. (ECMA-119, 9.4)"""
    return struct.pack(f"{order}BBIH", 1, 0, _ROOT, 1) + b"\0\0"


def _both(number: int, size: str = "I") -> bytes:
    """Return a number in little-endian order followed by the same in big-endian order."""
    return struct.pack(f"<{size}", number) + struct.pack(f">{size}", number)


def _sectors(content: bytes) -> int:
    return -(-len(content) // _SECTOR)
