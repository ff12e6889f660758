"""gzip and zstd streams, whole, in several members, cut off and with something behind them."""

from __future__ import annotations

import gzip
import zlib

import pytest

from runtime.errors import InvalidConfig
from runtime.images.compression import checked, compression_of, inflate
from runtime.images.manifest import digest_of

CONTENT = b"abc" * 5000


def pieces(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_members_in_a_row(size: int) -> None:
    stream = gzip.compress(CONTENT[:6000]) + gzip.compress(CONTENT[6000:])
    assert b"".join(inflate(pieces(stream, size), "gzip")) == CONTENT


def test_zstd() -> None:
    zstd = pytest.importorskip("backports.zstd", reason="backports.zstd is not installed")
    stream = zstd.compress(CONTENT[:6000]) + zstd.compress(CONTENT[6000:])
    assert b"".join(inflate(pieces(stream, 100), "zstd")) == CONTENT
    assert compression_of(stream) == "zstd"


@pytest.mark.parametrize(
    ("stream", "named"),
    [
        (gzip.compress(CONTENT)[:-5], "ends too early"),
        (gzip.compress(CONTENT)[:30], "ends too early"),
        (gzip.compress(CONTENT) + b"behind", "other content"),
        (gzip.compress(CONTENT) + b"\0" * 16, "other content"),
        (CONTENT, "other content"),
        (zlib.compress(CONTENT), "other content"),
        (gzip.compress(CONTENT)[:-8] + bytes(8), "damaged"),
    ],
)
def test_a_stream_that_is_not_sound_is_refused(stream: bytes, named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        b"".join(inflate([stream], "gzip"))


def test_the_digest_is_checked_at_the_end() -> None:
    assert b"".join(checked([CONTENT], "tar", digest_of(CONTENT))) == CONTENT
    stream = checked([CONTENT], "tar", digest_of(b""))
    assert next(stream) == CONTENT
    with pytest.raises(InvalidConfig, match="unpacks to sha256"):
        next(stream)
