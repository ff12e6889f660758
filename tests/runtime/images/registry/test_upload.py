"""Uploads: whole, in chunks, refused, cut off, resumed; blobs mounted from other repositories."""

from __future__ import annotations

import io

import pytest

from runtime.errors import Unavailable
from runtime.images import manifest
from runtime.images.manifest import Descriptor
from runtime.images.reference import parse
from runtime.images.registry import http, upload
from runtime.images.registry.http import Options
from runtime.images.registry.repository import Repository
from tests.runtime.images.registry.server import Asked, Reply, Server, digest_of, serving
from tests.runtime.images.registry.upload_server import Uploads

CONTENT = bytes(range(256)) * 1200
BLOB = Descriptor(manifest.LAYER_TAR, digest_of(CONTENT), len(CONTENT))
CHUNK = 100_000
CUT = Reply(0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts are cut short."""
    monkeypatch.setattr(http, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(http, "_LONGEST_PAUSE_SECONDS", 0.002)
    monkeypatch.setattr(upload, "_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(upload, "_LEAST_CHUNK_BYTES", 50_000)


def sent(
    server: Server, *, content: bytes = CONTENT, chunk_bytes: int = 0, mount_from: str | None = None
) -> bool:
    blob = Descriptor(manifest.LAYER_TAR, digest_of(content), len(content))
    there = Repository(parse(f"{server.host}/app"), Options(timeout_seconds=5), writable=True)
    return there.upload(blob, io.BytesIO(content), mount_from, chunk_bytes)


def requests(server: Server) -> list[str]:
    """Return method and Content-Range of each request that came over HTTP."""
    return [
        f"{each.method} {each.headers.get('Content-Range', '')}".strip() for each in server.asked
    ]


def chunks(size_bytes: int, total_bytes: int = len(CONTENT)) -> list[str]:
    return [
        f"PATCH {start}-{min(start + size_bytes, total_bytes) - 1}"
        for start in range(0, total_bytes, size_bytes)
    ]


@pytest.mark.parametrize("content", [CONTENT, b"x", b""])
def test_a_blob_is_sent_at_once(content: bytes) -> None:
    uploads = Uploads()
    with serving(uploads) as server:
        assert sent(server, content=content)
    assert uploads.blobs == {digest_of(content): content}
    assert requests(server) == ["POST", "PUT"]


@pytest.mark.parametrize("size", [CHUNK, len(CONTENT), 1 << 30])
def test_a_blob_is_sent_in_chunks(size: int) -> None:
    uploads = Uploads()
    with serving(uploads) as server:
        assert sent(server, chunk_bytes=size)
    assert uploads.blobs[BLOB.digest] == CONTENT
    assert requests(server) == ["POST", *chunks(size), "PUT"]


@pytest.mark.parametrize("content", [b"", b"x", b"xy"])
def test_small_blobs_in_chunks(content: bytes) -> None:
    uploads = Uploads()
    with serving(uploads) as server:
        assert sent(server, content=content, chunk_bytes=1)
    assert uploads.blobs[digest_of(content)] == content


def test_a_registry_that_names_a_least_size_gets_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "_CHUNK_BYTES", 10)
    uploads = Uploads(opening={"OCI-Chunk-Min-Length": "60000"})
    with serving(uploads) as server:
        assert sent(server)
    assert requests(server) == ["POST", *chunks(60_000), "PUT"]


def too_large(most_bytes: int) -> Uploads:
    """Return a registry behind a proxy that refuses large requests."""

    def fault(asked: Asked, _: bytearray) -> Reply | None:
        return Reply(413, b"<html>") if len(asked.body) > most_bytes else None

    return Uploads(fault)


def test_a_registry_that_refuses_a_whole_blob_gets_chunks() -> None:
    uploads = too_large(CHUNK)
    with serving(uploads) as server:
        assert sent(server)
    assert uploads.blobs[BLOB.digest] == CONTENT
    sizes = [len(each.body) for each in server.asked if each.method == "PATCH"]
    assert sizes[:2] == [len(CONTENT) // 2, len(CONTENT) // 4]
    assert max(sizes[1:]) <= CHUNK


def test_a_registry_that_refuses_large_chunks_as_a_range() -> None:
    """ghcr.io answers 416 to chunks of more than 4 MiB."""

    def fault(asked: Asked, _: bytearray) -> Reply | None:
        return Reply(416, b"too large") if len(asked.body) > CHUNK else None

    uploads = Uploads(fault)
    with serving(uploads) as server:
        assert sent(server, chunk_bytes=200_000)
    assert uploads.blobs[BLOB.digest] == CONTENT


def test_a_registry_that_refuses_small_chunks_is_given_up() -> None:
    with serving(too_large(1000)) as server, pytest.raises(Unavailable, match="413"):
        sent(server)


@pytest.mark.parametrize("chunk_bytes", [0, CHUNK])
@pytest.mark.parametrize("kept_bytes", [0, 1, 70_001])
def test_an_upload_that_was_cut_off_is_resumed(chunk_bytes: int, kept_bytes: int) -> None:
    """The registry has a part of the chunk; the rest is sent."""
    cuts: list[str] = []

    def fault(asked: Asked, session: bytearray) -> Reply | None:
        if asked.method in ("POST", "GET") or cuts:
            return None
        cuts.append(asked.method)
        session += asked.body[:kept_bytes]
        return CUT

    uploads = Uploads(fault)
    with serving(uploads) as server:
        assert sent(server, chunk_bytes=chunk_bytes)
    assert uploads.blobs[BLOB.digest] == CONTENT
    assert "GET" in requests(server)
    if kept_bytes != 1:  # `Range: 0-0` may be one byte or none: the blob is sent again
        sent_bytes = sum(len(each.body) for each in server.asked)
        assert sent_bytes == (chunk_bytes or len(CONTENT)) + len(CONTENT) - kept_bytes


@pytest.mark.parametrize("status", [429, 500, 503, 416])
def test_a_busy_registry_is_asked_again(status: int) -> None:
    busy: list[int] = []

    def fault(asked: Asked, _: bytearray) -> Reply | None:
        if asked.method == "PATCH" and len(busy) < 3:
            busy.append(status)
            return Reply(status, headers={"Retry-After": "0"})
        return None

    uploads = Uploads(fault)
    with serving(uploads) as server:
        assert sent(server, chunk_bytes=CHUNK)
    assert uploads.blobs[BLOB.digest] == CONTENT


def test_a_session_that_was_forgotten_begins_again() -> None:
    uploads = Uploads()
    forgotten: list[bool] = []

    def fault(asked: Asked, _: bytearray) -> Reply | None:
        if asked.method == "PATCH" and len(server.asked) == 3 and not forgotten:
            forgotten.append(True)
            uploads.sessions.clear()
            return Reply(404, b'{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}')
        return None

    uploads.fault = fault
    with serving(uploads) as server:
        assert sent(server, chunk_bytes=CHUNK)
    assert uploads.blobs[BLOB.digest] == CONTENT
    assert requests(server).count("POST") == 2


def test_a_registry_that_counts_wrong_after_a_cut_gets_it_anew() -> None:
    """It says that it has more than it has; the digest is wrong, and the upload begins again."""
    cuts: list[bool] = []

    def fault(asked: Asked, session: bytearray) -> Reply | None:
        if asked.method == "PUT" and not cuts:
            cuts.append(True)
            return CUT
        if asked.method == "GET":
            session += bytes(200_000)
        return None

    uploads = Uploads(fault)
    with serving(uploads) as server:
        assert sent(server)
    assert uploads.blobs[BLOB.digest] == CONTENT


def always(status: int, *methods: str, body: bytes = b"") -> Uploads:
    def fault(asked: Asked, _: bytearray) -> Reply | None:
        return Reply(status, body, {"Retry-After": "0"}) if asked.method in methods else None

    return Uploads(fault)


@pytest.mark.parametrize(
    ("uploads", "chunk_bytes", "named"),
    [
        (always(500, "PUT"), 0, "cut off the upload of sha256:.*: it answered 500"),
        (always(500, "PATCH"), CHUNK, "cut off the upload of sha256:.*: it answered 500"),
        (always(416, "PUT"), 0, "cut off the upload"),
        (always(416, "PUT"), CHUNK, "cut off the upload"),
        (always(404, "PUT", "PATCH"), CHUNK, "cut off the upload"),
        (always(400, "PUT", body=b'{"errors":[{"code":"DIGEST_INVALID"}]}'), 0, "DIGEST_INVALID"),
        (always(405, "PATCH"), CHUNK, "405 Method Not Allowed"),
        (always(401, "PUT"), 0, "unsupported authorization"),
        (always(200, "PUT", body=b"<html>"), 0, "200 OK to the upload"),
        (always(202, "POST"), 0, "named no place for an upload"),
        (always(403, "POST", body=b'{"errors":[{"code":"DENIED"}]}'), 0, "DENIED"),
        (always(0, "PUT"), 0, "cut off the upload"),
        (always(0, "PATCH", "GET"), CHUNK, "cut off the upload"),
    ],
)
def test_a_registry_that_always_fails_is_given_up(
    uploads: Uploads, chunk_bytes: int, named: str
) -> None:
    with serving(uploads) as server, pytest.raises(Unavailable, match=named):
        sent(server, chunk_bytes=chunk_bytes)
    assert uploads.blobs == {}


@pytest.mark.parametrize("last", ["5", "99999999", "9" * 30, "x"])
def test_a_registry_that_claims_another_size(last: str) -> None:
    """It never had as much; the upload ends, with the whole blob or with an error."""

    def fault(asked: Asked, session: bytearray) -> Reply | None:
        if asked.method == "PATCH" and len(server.asked) > 2:
            session += asked.body
            return Reply(202, headers={"Range": f"0-{last}"})
        return None

    uploads = Uploads(fault)
    with serving(uploads) as server:
        if last in ("9" * 30, "x"):
            assert sent(server, chunk_bytes=CHUNK)
            assert uploads.blobs[BLOB.digest] == CONTENT
        else:
            with pytest.raises(Unavailable, match="bytes of an upload of 307200"):
                sent(server, chunk_bytes=CHUNK)


@pytest.mark.parametrize("status", [201, 202, 403, 404, 405])
def test_a_blob_that_another_repository_may_have(status: int) -> None:
    """Mounted if the registry does so; else uploaded, in the session that it opened, or in one."""

    def fault(asked: Asked, _: bytearray) -> Reply | None:
        if "mount=" in asked.path and status != 202:
            return Reply(status)
        return None

    uploads = Uploads(fault)
    with serving(uploads) as server:
        assert sent(server, mount_from="base") is (status != 201)
    (first, *others) = server.asked
    assert first.path.endswith(f"uploads/?mount={BLOB.digest.replace(':', '%3A')}&from=base")
    expected = {201: [], 202: ["PUT"]}.get(status, ["POST", "PUT"])
    assert [each.method for each in others] == expected
    assert uploads.blobs == ({} if status == 201 else {BLOB.digest: CONTENT})
