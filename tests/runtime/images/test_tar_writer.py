"""Archives of the writer, read by Python's tarfile and by our own reader."""

from __future__ import annotations

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from runtime.images import tar_writer
from runtime.images.tar_reader import REGULAR, SYMLINK, Entry, TarReader

NAMES = st.binary(min_size=1, max_size=300).filter(
    lambda name: b"\0" not in name and not name.endswith(b"/") and not name.startswith(b"/")
)
NUMBERS = st.one_of(st.integers(0, 1000), st.integers(0, 2**32 - 2))


@given(
    NAMES, st.integers(0, 0o7777), NUMBERS, NUMBERS,
    st.integers(-(10**18), 2**33 * 10**9), st.binary(max_size=1200),
    st.dictionaries(st.sampled_from(["user.a", "security.capability"]), st.binary(max_size=40)),
)  # fmt: skip
def test_a_file_is_read_as_it_was_written(
    name: bytes,
    mode: int,
    uid: int,
    gid: int,
    mtime_ns: int,
    content: bytes,
    xattrs: dict[str, bytes],
) -> None:
    size = len(content)
    entry = Entry(name, REGULAR, mode, uid, gid, size, size, mtime_ns, b"", 0, 0, xattrs)
    written = b"".join(tar_writer.document(entry, content)) + tar_writer.END
    reader = TarReader([written])
    ((found, read),) = [(each, b"".join(reader.content())) for each in reader]
    assert (found, read) == (entry, content)


@given(NAMES)
def test_a_link_is_read_as_it_was_written(target: bytes) -> None:
    entry = Entry(b"l", SYMLINK, 0o777, 0, 0, 0, 0, 0, target, 0, 0)
    written = tar_writer.header(entry) + tar_writer.END
    (found,) = TarReader([written])
    assert found == entry


def test_tarfile_reads_it() -> None:
    name = "d/" * 80 + "ä"
    entry = Entry(name.encode(), REGULAR, 0o644, 3_000_000_000, 5, 3, 3, 1_500_000_000, b"", 0, 0)
    written = b"".join(tar_writer.document(entry, b"abc")) + tar_writer.END
    with tarfile.open(fileobj=io.BytesIO(written)) as archive:
        (member,) = archive
        assert (member.name, member.uid, member.gid, member.mtime) == (name, 3_000_000_000, 5, 1.5)
        content = archive.extractfile(member)
        assert content is not None and content.read() == b"abc"


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 700)), max_size=5),
    st.integers(0, 3000), NAMES,
)  # fmt: skip
def test_a_sparse_file_is_read_as_it_was_written(
    gaps: list[tuple[int, int]], end: int, name: bytes
) -> None:
    pieces, length = [], 0
    for gap, size_bytes in gaps:
        pieces.append((length + gap, size_bytes))
        length += gap + size_bytes
    length += end
    size = sum(size_bytes for _, size_bytes in pieces)
    entry = Entry(name, REGULAR, 0o600, 1, 2, size, length, 0, b"", 0, 0, {}, pieces)
    content = bytes(number % 251 + 1 for number in range(size))
    written = tar_writer.header(entry) + content + tar_writer.padding(size) + tar_writer.END
    reader = TarReader([written])
    ((found, read),) = [(each, list(reader.pieces(each))) for each in reader]
    assert (found.name, found.length_bytes, found.pieces) == (name, length, pieces)
    assert b"".join(piece for _, piece in read) == content
    with tarfile.open(fileobj=io.BytesIO(written)) as archive:
        (member,) = archive
        assert (member.size, member.name.encode("utf-8", "surrogateescape")) == (length, name)
