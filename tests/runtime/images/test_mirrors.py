"""Mirrors that fail, lie or lack the image: the next source is asked, and the name stays."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidConfig, NotFound
from runtime.images.mirrors import pull_from
from runtime.images.reference import parse
from runtime.images.registry import http, repository
from runtime.images.registry.http import Options
from runtime.images.registry.repository import Repository
from runtime.images.store import Store
from tests.runtime.images.image import blobs_of
from tests.runtime.images.registry.image_server import ImageServer, honest
from tests.runtime.images.registry.server import Asked, Reply, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.runtime.images.registry.image_server import Lie

# Without layers, since only root may unpack them.
NAMED, BLOBS = blobs_of([])
REFERENCE = parse("docker.io/library/app:1")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts are cut short."""
    monkeypatch.setattr(http, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(http, "_LONGEST_PAUSE_SECONDS", 0.002)
    monkeypatch.setattr(repository, "_PAUSE_SECONDS", 0.001)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "images", "fast")


def source(server: Server) -> Repository:
    reference = parse(f"{server.host}/hub/library/app:1")
    return Repository(reference, Options(timeout_seconds=0.5, retries=1))


@pytest.fixture
def origin() -> Iterator[Server]:
    with serving(ImageServer(NAMED, BLOBS)) as server:
        yield server


def test_the_first_source_that_has_the_image_is_used(store: Store, origin: Server) -> None:
    with serving(ImageServer(NAMED, BLOBS)) as mirror:
        notes: list[str] = []
        image = pull_from(store, REFERENCE, [source(mirror), source(origin)], note=notes.append)
        assert mirror.asked[0].path == "/v2/hub/library/app/manifests/1"
    assert (image.name, image.descriptor.digest) == (str(REFERENCE), NAMED.digest)
    assert [each.name for each in store.images()] == [str(REFERENCE)]
    assert (notes, origin.asked) == ([], [])


def replaced(part: str, reply: Reply) -> Lie:
    """Answer every request whose path has a part by the same reply."""
    return lambda asked, answer: reply if part in asked.path else answer


def damaged(asked: Asked, reply: Reply) -> Reply:
    """Send blobs in their size, with other content."""
    if "/blobs/" in asked.path:
        reply.body = reply.body[::-1]
    return reply


def short(asked: Asked, reply: Reply) -> Reply:
    """Announce blobs in their size, and cut them off."""
    if "/blobs/" in asked.path:
        reply.length, reply.body = len(reply.body), b""
    return reply


@pytest.mark.parametrize(
    ("lie", "named"),
    [
        (replaced("/manifests/", Reply(404)), "404 Not Found"),
        (replaced("/", Reply(503)), "503 Service Unavailable"),
        (replaced("/", Reply(429)), "429 Too Many Requests"),
        (replaced("/", Reply(401)), "unsupported authorization"),
        (replaced("/manifests/", Reply(200, b"<html>", {"Content-Type": "text/html"})), "web page"),
        (replaced("/manifests/", Reply(200, b"<html>")), "malformed"),
        (
            replaced("/manifests/", Reply(200, b'{"schemaVersion":2,"manifests":[]}')),
            "no image for",
        ),
        (replaced("/blobs/", Reply(404)), "404 Not Found"),
        (replaced("/blobs/", Reply(200, b"<html>" * 1000)), "sent more than"),
        (replaced("/", Reply(0)), "can't be reached"),
        (replaced("/", Reply(200, b"", length=5, hang_seconds=5)), "timed out"),
        (damaged, "came as"),
        (short, "cut off the blob"),
    ],
)
def test_a_mirror_that_fails_is_left_out_with_a_note(
    store: Store, origin: Server, lie: Lie, named: str
) -> None:
    notes: list[str] = []
    with serving(ImageServer(NAMED, BLOBS, lie)) as mirror:
        image = pull_from(store, REFERENCE, [source(mirror), source(origin)], note=notes.append)
    assert image.descriptor.digest == NAMED.digest
    (note,) = notes
    assert note.startswith(f"The mirror {mirror.host}/hub/library/app was left out: ")
    assert named in note and note.count("\n") == 0
    assert [each.name for each in store.images()] == [str(REFERENCE)]
    store.collect()
    assert not list(store.layout.partials())


def test_a_mirror_that_nobody_serves(store: Store, origin: Server) -> None:
    with serving(honest_reply) as mirror:
        gone = source(mirror)
    notes: list[str] = []
    pull_from(store, REFERENCE, [gone, source(origin)], note=notes.append)
    assert len(notes) == 1 and "refused" in notes[0]


def honest_reply(asked: Asked) -> Reply:
    return honest(asked, Reply())


def test_the_error_of_the_last_source_is_raised(store: Store) -> None:
    lies = [Reply(404), Reply(200, b"{}")]
    notes: list[str] = []
    with ExitStack() as servers:
        sources = [
            source(servers.enter_context(serving(ImageServer(NAMED, BLOBS, replaced("/", lie)))))
            for lie in lies
        ]
        with pytest.raises(InvalidConfig):
            pull_from(store, REFERENCE, sources, note=notes.append)
        with pytest.raises(NotFound):
            pull_from(store, REFERENCE, sources[::-1], note=notes.append)
    assert len(notes) == 2
    assert store.images() == []
    store.collect()
    assert not list(store.layout.blobs())


def test_the_origin_is_asked_for_what_is_missing(store: Store, origin: Server) -> None:
    """It lacks the configuration; the manifest comes from it, and then from the origin."""
    lie = replaced("/blobs/", Reply(404))
    with serving(ImageServer(NAMED, BLOBS, lie)) as mirror:
        pull_from(store, REFERENCE, [source(mirror), source(origin)], note=lambda _: None)
    assert [each.path.rpartition("/")[0] for each in origin.asked] == [
        "/v2/hub/library/app/manifests", "/v2/hub/library/app/blobs",
    ]  # fmt: skip
