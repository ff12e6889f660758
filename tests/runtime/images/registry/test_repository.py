"""Registries that are busy, cut off, start over or lie; tokens and redirects of honest ones."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidConfig, NotFound, Unavailable
from runtime.images import manifest
from runtime.images.manifest import Descriptor
from runtime.images.reference import parse
from runtime.images.registry import http, repository
from runtime.images.registry.credentials import Credentials
from runtime.images.registry.http import Options
from runtime.images.registry.repository import Repository
from tests.runtime.images.registry.server import Asked, Reply, Server, digest_of, serving

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT = bytes(range(256)) * 40
BLOB = Descriptor(manifest.LAYER_TAR, digest_of(CONTENT), len(CONTENT))
MANIFEST = b'{"schemaVersion":2}'


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts are cut short."""
    monkeypatch.setattr(http, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(http, "_LONGEST_PAUSE_SECONDS", 0.002)
    monkeypatch.setattr(repository, "_PAUSE_SECONDS", 0.001)


def of(server: Server, options: Options | None = None) -> Repository:
    return Repository(parse(f"{server.host}/app"), options or Options(timeout_seconds=5))


def fetched(server: Server, blob: Descriptor = BLOB, start_bytes: int = 0) -> bytes:
    """Return a blob as a file would hold it that each piece is written to at its offset."""
    content = bytearray(start_bytes)
    for offset, piece in of(server, Options(timeout_seconds=0.5)).blob(blob, start_bytes):
        del content[offset:]
        content += piece
    return bytes(content)


def ranged(asked: Asked) -> Reply:
    """Answer a range as registries do."""
    first = int(asked.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
    span = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
    return Reply(206 if first else 200, CONTENT[first:], {"Content-Range": span} if first else {})


def test_a_blob_is_gone_on_with_where_it_was_cut_off() -> None:
    def answer(asked: Asked) -> Reply:
        reply = ranged(asked)
        if len(server.asked) < 3:
            reply.length, reply.body = len(reply.body), reply.body[:3000]
        return reply

    with serving(answer) as server:
        assert fetched(server) == CONTENT
        assert [each.headers.get("Range") for each in server.asked] == [
            None, "bytes=3000-", "bytes=6000-",
        ]  # fmt: skip


def test_a_registry_without_ranges_starts_over() -> None:
    with serving(lambda _: Reply(200, CONTENT)) as server:
        assert fetched(server, start_bytes=100) == CONTENT


def test_a_registry_that_always_cuts_off_is_given_up() -> None:
    with (
        serving(lambda _: Reply(200, b"", length=len(CONTENT))) as server,
        pytest.raises(Unavailable, match=r"cut off the blob .*: 0 of 10240 bytes came"),
    ):
        fetched(server)


def test_a_registry_that_stalls_is_asked_again() -> None:
    def answer(asked: Asked) -> Reply:
        reply = ranged(asked)
        if len(server.asked) == 1:
            reply.length, reply.body, reply.hang_seconds = len(CONTENT), CONTENT[:10], 30
        return reply

    with serving(answer) as server:
        assert fetched(server) == CONTENT
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("reply", "kind", "named"),
    [
        (Reply(200, CONTENT + b"more"), InvalidConfig, "sent more than the 10240 bytes"),
        (Reply(206, CONTENT, {"Content-Range": "bytes 7-10/11"}), Unavailable, "left out a part"),
        (Reply(206, CONTENT, {"Content-Range": "lines 1"}), Unavailable, "the range 'lines 1'"),
        (Reply(404), NotFound, "404 Not Found"),
        (Reply(403, b'{"errors":[{"code":"DENIED","message":"no"}]}'), Unavailable, "DENIED: no"),
        (Reply(500, b"<html>"), Unavailable, "500 Internal Server Error"),
    ],
)
def test_answers_that_are_no_blob(reply: Reply, kind: type[Exception], named: str) -> None:
    with serving(lambda _: reply) as server, pytest.raises(kind, match=named):
        fetched(server)


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_registry_is_asked_again(status: int) -> None:
    def answer(_: Asked) -> Reply:
        return (
            Reply(status, headers={"Retry-After": "0"})
            if len(server.asked) < 3
            else Reply(200, CONTENT)
        )

    with serving(answer) as server:
        assert fetched(server) == CONTENT


def test_a_manifest_of_another_digest_is_refused() -> None:
    with serving(lambda _: Reply(200, MANIFEST)) as server:
        found, document = of(server).manifest("latest")
        assert (found.digest, document) == (digest_of(MANIFEST), MANIFEST)
        with pytest.raises(InvalidConfig, match="sent a manifest"):
            of(server).manifest(f"sha256:{'0' * 64}")


def test_a_web_page_is_no_registry() -> None:
    page = Reply(200, b"<html>", {"Content-Type": "text/html; charset=utf-8"})
    with serving(lambda _: page) as server, pytest.raises(Unavailable, match="web page"):
        of(server).manifest("latest")


def test_nobody_there() -> None:
    with serving(lambda _: Reply()) as server:
        gone = of(server)
    with pytest.raises(Unavailable, match=r"can't be reached: .*refused"):
        gone.manifest("latest")


def with_token(server_of: Callable[[], Server]) -> Callable[[Asked], Reply]:
    """Return the answers of a registry that wants a token of its own token server."""

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return Reply(200, b'{"token":"t0"}')
        if asked.headers.get("Authorization") != "Bearer t0":
            realm = f'Bearer realm="http://{server_of().host}/token",service="s",scope="repository:app:pull"'
            return Reply(401, headers={"WWW-Authenticate": realm})
        return Reply(200, MANIFEST)

    return answer


def test_a_token_is_got_once_and_kept() -> None:
    with serving(with_token(lambda: server)) as server:
        asked = of(server, Options(Credentials("me", "secret")))
        asked.manifest("a")
        asked.manifest("b")
        tokens = [each for each in server.asked if each.path.startswith("/token")]
        assert len(tokens) == 1
        assert "scope=repository%3Aapp%3Apull" in tokens[0].path and "service=s" in tokens[0].path
        pair = base64.b64encode(b"me:secret").decode()
        assert tokens[0].headers["Authorization"] == f"Basic {pair}"


def test_each_scope_is_a_parameter() -> None:
    scopes = "repository:app:pull,push repository:base:pull"

    def answer(asked: Asked) -> Reply:
        if asked.path.startswith("/token"):
            return Reply(200, b'{"token":"t0"}')
        if "Authorization" not in asked.headers:
            realm = f'Bearer realm="http://{server.host}/token?a=b",scope="{scopes}"'
            return Reply(401, headers={"WWW-Authenticate": realm})
        return Reply(200, MANIFEST)

    with serving(answer) as server:
        of(server).manifest("a")
        (token,) = [each for each in server.asked if each.path.startswith("/token")]
    assert token.path == (
        "/token?a=b&scope=repository%3Aapp%3Apull%2Cpush&scope=repository%3Abase%3Apull"
    )


def test_an_identity_token_is_traded() -> None:
    with serving(with_token(lambda: server)) as server:
        of(server, Options(Credentials("<token>", "", "id0"))).manifest("a")
        (token,) = [each for each in server.asked if each.path.startswith("/token")]
        assert token.method == "POST" and b"refresh_token=id0" in token.body


def test_a_user_is_asked_for() -> None:
    challenge = Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    with serving(lambda _: challenge) as server, pytest.raises(Unavailable, match="docker login"):
        of(server).manifest("a")


def test_another_host_does_not_get_the_password() -> None:
    with serving(lambda _: Reply(200, CONTENT)) as storage:

        def answer(asked: Asked) -> Reply:
            if "Authorization" not in asked.headers:
                return Reply(401, headers={"WWW-Authenticate": 'Basic realm="r"'})
            return Reply(307, headers={"Location": f"http://{storage.host}/elsewhere"})

        with serving(answer) as server:
            asked = of(server, Options(Credentials("me", "secret")))
            assert b"".join(piece for _, piece in asked.blob(BLOB)) == CONTENT
        (came,) = storage.asked
        assert "Authorization" not in came.headers


def test_a_redirection_without_end() -> None:
    with (
        serving(lambda _: Reply(302, headers={"Location": "/again"})) as server,
        pytest.raises(Unavailable, match="redirects more than 10 times"),
    ):
        of(server).manifest("a")


def test_plain_http_elsewhere_is_refused() -> None:
    place = Reply(302, headers={"Location": "http://registry.example/v2/"})
    with serving(lambda _: place) as server, pytest.raises(Unavailable, match="plain HTTP"):
        of(server).manifest("a")
