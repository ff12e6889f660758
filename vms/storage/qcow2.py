"""A reader of qcow2 headers and tables, and a writer of thin clones.

An image names other files, which QEMU opens with it: a backing file and a data file. So images from
elsewhere are examined before QEMU opens them. (QEMU, docs/interop/qcow2.txt)
"""

from __future__ import annotations

import os
import struct
from array import array
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from vms.errors import InvalidImage, os_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAGIC = b"QFI\xfb"
# Magic, version; offset and length of the backing file's name; cluster bits, size, encryption;
# entries of the L1 table and its offset; the refcount table's offset and clusters; number of
# snapshots and their offset.
_VERSION_2 = struct.Struct(">4sIQIIQIIQQIIQ")
# Incompatible, compatible and autoclear features; refcount order, header length.
_VERSION_3 = struct.Struct(">QQQII")
# A snapshot: offset and entries of its L1 table; lengths of its ID and of its name; seconds and
# nanoseconds of its date; the guest's clock; length of the VM state; length of the extra data.
_SNAPSHOT = struct.Struct(">QIHHIIQII")
_EXTENSION = struct.Struct(">II")
_END, _BACKING_FORMAT, _DATA_FILE = 0, 0xE2792ACA, 0x44415441
_CORRUPT, _EXTERNAL_DATA, _WIDE_ENTRIES = 1 << 1, 1 << 2, 1 << 4
_OFFSET = 0x00FFFFFFFFFFFE00
_COMPRESSED = 1 << 62
_LONGEST_NAME = 1023
_MAX_TABLE_BYTES = 32 << 20
_KNOWN_FEATURES = (1 << 5) - 1  # dirty, corrupt, external data, compression type, extended entries
_MAX_SNAPSHOTS = 65536

_CLUSTER_BITS = 16
_CLUSTER = 1 << _CLUSTER_BITS
_REFCOUNT_ORDER = 4  # 16 bits each
_REFCOUNTS = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class Image:
    """The header of an image. `backing` and its format are None without a backing file.

    `snapshots` are the names of the internal snapshots.
    """

    path: Path
    virtual_bytes: int
    backing: str | None
    backing_format: str | None
    data_file: str | None
    is_encrypted: bool = False
    snapshots: tuple[str, ...] = ()


def read(path: Path, *, whole: bool = True) -> Image:
    """Return an image's header.

    With `whole`, all clusters that its tables refer to must lie in the file. Raises MachineError
    for a file of another format, and for a corrupt or truncated image.
    """
    try:
        with path.open("rb") as file:
            return _Reader(path, file).image(whole=whole)
    except OSError as error:
        raise os_error(f"Can't read {path}", error) from error
    except struct.error as error:
        raise InvalidImage(f"{path} is truncated: fetch or copy it again.") from error


def write_clone(base: Path, base_format: str, path: Path, virtual_bytes: int) -> None:
    """Write a new, empty image whose backing file is the base: a sparse file of 256 KiB.

    It has four clusters: the header with the base's name, the refcount table, its one refcount
    block, and the L1 table, which takes more clusters for a disk of more than 4 TiB. Raises
    OSError.
    """
    name, format_ = os.fsencode(base.absolute()), base_format.encode()
    entries = -(-virtual_bytes // (_CLUSTER * _CLUSTER // 8))
    table_clusters = max(1, -(-entries * 8 // _CLUSTER))
    header_bytes = _VERSION_2.size + _VERSION_3.size
    extensions = (
        _EXTENSION.pack(_BACKING_FORMAT, len(format_))
        + format_.ljust(8, b"\0")
        + _EXTENSION.pack(_END, 0)
    )
    header = _VERSION_2.pack(
        MAGIC, 3, header_bytes + len(extensions), len(name), _CLUSTER_BITS, virtual_bytes, 0,
        entries, 3 * _CLUSTER, _CLUSTER, 1, 0, 0,
    ) + _VERSION_3.pack(0, 0, 0, _REFCOUNT_ORDER, header_bytes)  # fmt: skip
    with path.open("xb") as file:
        file.write(header + extensions + name)
        file.seek(_CLUSTER)
        file.write((2 * _CLUSTER).to_bytes(8, "big"))
        file.seek(2 * _CLUSTER)
        file.write(_REFCOUNTS.pack(1) * (3 + table_clusters))
        file.truncate((3 + table_clusters) * _CLUSTER)


class _Reader:
    """Reads the structures of an image; raises struct.error for one beyond the file's end."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path = path
        self._file = file
        self._bytes = os.fstat(file.fileno()).st_size

    def image(self, *, whole: bool) -> Image:
        magic = self._at(0, 4)
        if magic != MAGIC:
            raise InvalidImage(
                f"{self._path} is not a qcow2 image: name its format if it is raw, or convert it"
                " with qemu-img convert."
            )
        (
            _, version, name_at, name_bytes, cluster_bits, virtual_bytes, encryption, entries,
            table_at, _, _, snapshots, snapshots_at,
        ) = _VERSION_2.unpack(self._at(0, _VERSION_2.size))  # fmt: skip
        if version not in {2, 3} or not 9 <= cluster_bits <= 21 or name_bytes > _LONGEST_NAME:
            raise InvalidImage(f"{self._path} has an invalid qcow2 header: it is corrupt.")
        features, end = 0, _VERSION_2.size
        if version == 3:
            features, _, _, _, end = _VERSION_3.unpack(self._at(end, _VERSION_3.size))
        if features & _CORRUPT:
            raise InvalidImage(
                f"{self._path} is marked corrupt: qemu-img check -r all may repair it."
            )
        if features & ~_KNOWN_FEATURES:
            raise InvalidImage(
                f"{self._path} uses qcow2 features that are not supported: qemu-img convert writes"
                " a copy without them."
            )
        extensions = dict(self._extensions(end)) if version == 3 or end < name_at else {}
        if whole:
            self._refuse_truncated(table_at, entries, cluster_bits, wide=features & _WIDE_ENTRIES)
        data_file = extensions.get(_DATA_FILE)
        if data_file is None and features & _EXTERNAL_DATA:
            data_file = "?"
        return Image(
            self._path,
            virtual_bytes,
            os.fsdecode(self._at(name_at, name_bytes)) if name_at else None,
            extensions.get(_BACKING_FORMAT),
            data_file,
            bool(encryption),
            tuple(self._snapshots(snapshots_at, min(snapshots, _MAX_SNAPSHOTS))),
        )

    def _extensions(self, at: int) -> Iterator[tuple[int, str]]:
        while True:
            kind, length = _EXTENSION.unpack(self._at(at, _EXTENSION.size))
            if kind == _END:
                return
            yield kind, os.fsdecode(self._at(at + _EXTENSION.size, length))
            at += _EXTENSION.size + (length + 7) // 8 * 8

    def _snapshots(self, at: int, count: int) -> Iterator[str]:
        """Yield the names of the internal snapshots."""
        for _ in range(count):
            _, _, id_bytes, name_bytes, _, _, _, _, more_bytes = _SNAPSHOT.unpack(
                self._at(at, _SNAPSHOT.size)
            )
            at += _SNAPSHOT.size + more_bytes + id_bytes
            yield os.fsdecode(self._at(at, name_bytes))
            at = (at + name_bytes + 7) // 8 * 8

    def _refuse_truncated(self, at: int, entries: int, cluster_bits: int, *, wide: int) -> None:
        """Raise struct.error if the L1 or an L2 table refers to a cluster beyond the file's end."""
        if entries * 8 > _MAX_TABLE_BYTES:
            raise InvalidImage(f"{self._path} has an invalid qcow2 header: it is corrupt.")
        compressed = (1 << (62 - (cluster_bits - 8))) - 1
        for entry in self._table(at, entries):
            l2_offset = entry & _OFFSET
            table = self._table(l2_offset, (1 << cluster_bits) // 8) if l2_offset else ()
            for cluster in table[::2] if wide else table:
                if cluster & (compressed if cluster & _COMPRESSED else _OFFSET) >= self._bytes:
                    raise struct.error

    def _table(self, at: int, entries: int) -> array[int]:
        table = array("Q", self._at(at, entries * 8))
        table.byteswap()
        return table

    def _at(self, offset: int, length: int) -> bytes:
        if offset + length > self._bytes:
            raise struct.error
        self._file.seek(offset)
        return self._file.read(length)
