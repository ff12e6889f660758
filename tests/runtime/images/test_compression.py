"""gzip and zstd streams, whole, in several members, cut off and with something behind them."""

from __future__ import annotations

import gzip
import sys
import zlib
from typing import Any

import pytest

from runtime.errors import InvalidConfig
from runtime.images.compression import checked, compression_of, inflate
from runtime.images.manifest import digest_of

CONTENT = b"abc" * 5000
ZEROS_BYTES = 64 << 20


@pytest.fixture(autouse=True, params=["isal", "zlib"])
def _module(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)  # importing it raises ImportError
    else:
        pytest.importorskip("isal", reason="isal has no wheel for this architecture")


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
        (gzip.compress(CONTENT)[:-4] + bytes(4), "damaged"),
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


def zstd() -> Any:
    return pytest.importorskip("backports.zstd", reason="backports.zstd is not installed")


@pytest.mark.parametrize("cut", ["middle", "end", "magic", "behind", "zeros", "damaged"])
def test_a_zstd_stream_that_is_not_sound_is_refused(cut: str) -> None:
    whole = zstd().compress(CONTENT, options={zstd().CompressionParameter.checksum_flag: 1})
    stream, named = {
        "middle": (whole[: len(whole) // 2], "ends too early"),
        "end": (whole[:-1], "ends too early"),
        "magic": (gzip.compress(CONTENT), "other content"),
        "behind": (whole + b"behind", "other content"),
        "zeros": (whole + bytes(16), "other content"),
        "damaged": (whole[:-1] + bytes([whole[-1] ^ 1]), "damaged"),
    }[cut]
    with pytest.raises(InvalidConfig, match=named):
        b"".join(inflate(pieces(stream, 7), "zstd"))


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_bomb_comes_in_parts(compression: str) -> None:
    zeros = bytes(ZEROS_BYTES)
    stream = gzip.compress(zeros) if compression == "gzip" else zstd().compress(zeros)
    assert len(stream) < 100_000
    total_bytes = largest_bytes = 0
    for piece in inflate([stream], compression):
        largest_bytes = max(largest_bytes, len(piece))
        total_bytes += len(piece)
    assert total_bytes == ZEROS_BYTES
    assert largest_bytes <= 8 << 20
