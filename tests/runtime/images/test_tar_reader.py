"""Archives of every format are read as tarfile wrote them; damaged ones are refused."""

from __future__ import annotations

import io
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidConfig
from runtime.images.tar_reader import Entry, TarReader
from tests.runtime.images.archive import archive, member

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def read(document: bytes) -> list[tuple[Entry, bytes]]:
    reader = TarReader([document])
    return [(entry, b"".join(reader.content())) for entry in reader]


@pytest.mark.parametrize("format", FORMATS)
def test_every_kind_of_entry(format: int) -> None:  # noqa: A002
    document = archive(
        member("d", "directory", mtime=7),
        member("d/f", content=b"x" * 1000, uid=1000, gid=100, mode=0o4755),
        member("d/l", "symlink", linkname="f"),
        member("d/h", "hardlink", linkname="d/f"),
        member("d/c", "character", devmajor=1, devminor=3),
        member("d/p", "fifo"),
        format=format,
    )
    entries = read(document)
    assert [(entry.name, entry.kind) for entry, _ in entries] == [
        (b"d/", "5"), (b"d/f", "0"), (b"d/l", "2"), (b"d/h", "1"), (b"d/c", "3"), (b"d/p", "6"),
    ]  # fmt: skip
    directory, file, link, hard, device, _ = (entry for entry, _ in entries)
    assert directory.mtime_ns == 7_000_000_000
    assert (file.uid, file.gid, file.mode) == (1000, 100, 0o4755)
    assert entries[1][1] == b"x" * 1000
    assert (link.link, hard.link) == (b"f", b"d/f")
    assert (device.major, device.minor) == (1, 3)


@pytest.mark.parametrize("format", FORMATS[1:])
def test_long_names_and_large_numbers(format: int) -> None:  # noqa: A002
    name = "/".join(["directory" * 5] * 6)
    document = archive(
        member(name, content=b"a", uid=3_000_000_000),
        member("l", "symlink", linkname=name),
        format=format,
    )
    (file, content), (link, _) = read(document)
    assert (file.name, file.uid, content) == (name.encode(), 3_000_000_000, b"a")
    assert link.link == name.encode()


def test_times_are_read_to_the_nanosecond() -> None:
    document = archive(member("f", pax_headers={"mtime": "1700000000.123456789"}))
    assert read(document)[0][0].mtime_ns == 1_700_000_000_123_456_789


def test_extended_attributes_are_bytes() -> None:
    info, _ = member("f")
    info.pax_headers = {"SCHILY.xattr.user.a": "b=c\nd"}
    assert read(archive((info, b"")))[0][0].xattrs == {"user.a": b"b=c\nd"}


def test_a_global_header_is_for_all_that_follow() -> None:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"uid": "77"}
    ) as written:
        written.addfile(member("f")[0])
        written.addfile(member("g")[0])
    assert [entry.uid for entry, _ in read(buffer.getvalue())] == [77, 77]


def sparse_by_pax(version: str) -> bytes:
    """Return an archive with a file of 4096 bytes that holds `abc` at 1000."""
    if version == "1.0":
        content = b"1\n1000\n3\n".ljust(512, b"\0") + b"abc"
        headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "s",
                   "GNU.sparse.realsize": "4096"}  # fmt: skip
    else:
        content = b"abc"
        headers = {"GNU.sparse.map": "1000,3", "GNU.sparse.size": "4096", "GNU.sparse.name": "s"}
    return archive(member("x", content=content, pax_headers=headers))


@pytest.mark.parametrize("version", ["0.1", "1.0"])
def test_sparse_files(version: str) -> None:
    reader = TarReader([sparse_by_pax(version)])
    (found,) = [(entry, list(reader.pieces(entry))) for entry in reader]
    entry, pieces = found
    assert (entry.name, entry.length_bytes, pieces) == (b"s", 4096, [(1000, b"abc")])


def damaged() -> Iterator[tuple[bytes, str]]:
    whole = archive(member("f", content=b"x" * 600))
    yield whole[:700], "ends inside"
    yield whole[:100], "ends inside"
    yield b"x" * 512, "checksum"
    yield b"<html>" + whole, "checksum|ends inside"
    negative, _ = member("f", pax_headers={"size": "-1"})
    yield archive((negative, b"")), "size is '-1'"
    yield archive(member("f", pax_headers={"mtime": "never"})), "mtime"


@pytest.mark.parametrize(("document", "named"), list(damaged()))
def test_damaged_archives_are_refused(document: bytes, named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        read(document)


@given(st.data())
def test_any_bytes_are_an_archive_or_refused(data: st.DataObject) -> None:
    document = bytearray(
        archive(member("a/b", content=b"y" * 40, uid=5), format=tarfile.GNU_FORMAT)
    )
    for _ in range(data.draw(st.integers(0, 4))):
        document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InvalidConfig):
        read(bytes(document))


def changed(document: bytes, start: int, value: bytes) -> bytes:
    """Return an archive with other bytes in its first header, whose checksum is right."""
    head = bytearray(document[:512])
    head[start : start + len(value)] = value
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + document[512:]


def one(kind: str = "file", content: bytes = b"", **headers: str) -> bytes:
    """Return an archive of one entry with these PAX records; `__` stands for a dot."""
    records = {key.replace("__", "."): value for key, value in headers.items()}
    return archive(member("f", kind, content, pax_headers=records))


def impossible() -> Iterator[tuple[bytes, str]]:
    plain = archive(member("f"))
    yield changed(plain, 124, b"\xff" * 12), "negative size -1"
    yield changed(plain, 124, b"\x80" + b"\x7f" * 11), "a number that no file can have"
    yield changed(plain, 108, b"\x80" + b"\x7f" * 7), "a number that no file can have"
    yield changed(plain, 136, b"\x80" + b"\x7f" * 11), "a number that no file can have"
    yield changed(plain, 100, b"9999999\0"), "whose mode is no number"
    yield one(uid=str(2**32 - 1)), "a number that no file can have"
    yield one(gid="9" * 20), "a number that no file can have"
    yield one(gid="9" * 5000), "not a number"
    yield one(size=str(2**63)), "a number that no file can have"
    yield one(mtime="9" * 5000), "mtime is no number"
    yield one(mtime="-" + "9" * 20), "a number that no file can have"
    yield one(path="a\0b"), "a zero byte in a name"
    yield one("symlink", linkpath="a\0b"), "a zero byte in a name"
    named = member("f", pax_headers={"SCHILY.xattr.user.a\0": "x"})
    yield archive(named), "a zero byte in a name"
    yield one(GNU__sparse__map="1,2,3", GNU__sparse__size="9"), "map is damaged"
    yield one(GNU__sparse__map="1,x", GNU__sparse__size="9"), "not a number"
    yield one(GNU__sparse__map="0,5", GNU__sparse__size="9"), "pieces exceed its content"
    yield one(GNU__sparse__offset="0", GNU__sparse__numbytes="1"), "format 0.0"
    yield one(content=b"1" * 1024, GNU__sparse__major="1"), "map is damaged"
    yield one(content=b"999999999\n".ljust(512), GNU__sparse__major="1"), "more than 1048576 pieces"
    yield archive(member("c", "character", devmajor=5000)), "a device 5000:0"
    yield one(comment="x" * (1 << 20)), "extended headers of"
    several = tarfile.TarInfo.create_pax_global_header({"comment": "x" * 600_000})
    yield several * 2 + plain, "extended headers of"


@pytest.mark.parametrize(("document", "named"), list(impossible()))
def test_what_no_file_can_be_is_refused(document: bytes, named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        [list(reader.pieces(each)) for reader in [TarReader([document])] for each in reader]


def test_an_empty_record_leaves_the_header_as_it_is() -> None:
    ((entry, _),) = read(one(uid="", path="", linkpath="", mtime=""))
    assert (entry.name, entry.uid, entry.link, entry.mtime_ns) == (b"f", 0, b"", 0)


def test_the_real_size_of_a_sparse_file_counts_in_any_order() -> None:
    ((entry, _),) = read(
        one(content=b"abc", GNU__sparse__map="0,3", GNU__sparse__size="9", size="3")
    )
    assert (entry.size_bytes, entry.length_bytes) == (3, 9)
