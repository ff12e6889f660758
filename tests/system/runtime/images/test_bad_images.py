"""Invalid images, lying registries and full disks: one sentence, and the store is as before."""

from __future__ import annotations

import gzip
import io
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runtime.errors import ContainerError
from runtime.images.archives import load
from runtime.images.imported import import_archive
from runtime.images.layer import Limits
from runtime.images.pull import pull
from runtime.images.reference import parse
from runtime.images.registry import http, repository
from runtime.images.registry.http import Options
from runtime.images.registry.repository import Repository
from runtime.images.store import Store
from tests.runtime.images.archive import archive, member
from tests.runtime.images.image import blobs_of, docker_archive, oci_archive
from tests.runtime.images.registry.image_server import ImageServer
from tests.runtime.images.registry.server import Asked, Reply, serving
from tests.system.runtime.images.bad_images import BAD_IMAGES, Draft
from tests.system.runtime.small_disk import small_disk

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterator
    from pathlib import Path


NAME = "docker.io/library/app:1"
KEPT = [archive(member("kept", content=b"k"))]
ZEROS_BYTES = 64 << 20


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts are cut short."""
    monkeypatch.setattr(http, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(http, "_LONGEST_PAUSE_SECONDS", 0.002)
    monkeypatch.setattr(repository, "_PAUSE_SECONDS", 0.001)


@pytest.fixture
def store(scratch: Path) -> Store:
    """A store with an image by the name that bad images will have, beside a file of others."""
    (scratch / "outside").write_text("as before")
    store = Store(scratch / "deep/images", "fast")
    load(store, io.BytesIO(oci_archive("app:1", *blobs_of(KEPT))))
    return store


def state(store: Store) -> dict[str, object]:
    """Return all of a store that a failed operation must not change."""
    outside = store.directory.parents[1]
    return {
        "images": [(name, found.digest) for name, found in store.layout.images()],
        "leases": sorted(path.name for path in (store.directory / "leases").iterdir()),
        "snapshots": sorted(
            path.name for path in store.snapshots.directory.iterdir() if path.suffix != ".lock"
        ),
        "files": sorted(path.name for path in outside.iterdir()),
        "outside": (outside / "outside").read_text(),
        "beside": sorted(path.name for path in store.directory.parent.iterdir()),
    }


def leftovers(store: Store) -> set[str]:
    """Return the partial files, and the blobs that no image has, after a collection."""
    store.collect()
    image = store.image(NAME)
    kept = {image.descriptor.digest, image.id, *(each.digest for each in image.manifest.layers)}
    found = {digest for digest, _ in store.layout.blobs()} - kept
    return found | {path.name for path in store.layout.partials()}


@contextmanager
def unchanged(store: Store, named: str = "") -> Iterator[None]:
    """Expect one sentence in the block, and nothing that is left of what failed."""
    before = state(store)
    with pytest.raises(ContainerError, match=named) as caught:
        yield
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
    assert state(store) == before | {"snapshots": state(store)["snapshots"]}
    assert not list(store.snapshots.directory.glob(".new-*"))
    # What was complete stays for another attempt, until the next collection.
    assert leftovers(store) == set()
    assert state(store) == before


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_an_invalid_image_of_an_archive(store: Store, name: str) -> None:
    change, named = BAD_IMAGES[name]
    draft = Draft()
    change(draft)
    with unchanged(store, named):
        load(store, io.BytesIO(oci_archive("app:1", *draft.image())))


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_an_invalid_image_of_a_registry(store: Store, name: str) -> None:
    change, named = BAD_IMAGES[name]
    draft = Draft()
    change(draft)
    with serving(ImageServer(*draft.image())) as server, unchanged(store, named):
        pulled(store, server.host)


def pulled(store: Store, host: str) -> None:
    """Pull from a server by the name of the image that the store has."""
    there = Repository(parse(f"{host}/app:1"), Options(timeout_seconds=0.5, retries=2))
    pull(store, parse(NAME), there)


def only(part: str, reply: Reply) -> Callable[[Asked, Reply], Reply]:
    return lambda asked, answer: reply if part in asked.path else answer


def reversed_blobs(asked: Asked, reply: Reply) -> Reply:
    if "/blobs/" in asked.path:
        reply.body = reply.body[::-1]
    return reply


def longer_blobs(asked: Asked, reply: Reply) -> Reply:
    if "/blobs/" in asked.path:
        reply.body += b"more"
    return reply


def cut_blobs(asked: Asked, reply: Reply) -> Reply:
    if "/blobs/" in asked.path and len(reply.body) > 1000:
        reply.length, reply.body = len(reply.body), b""
    return reply


def stalled_blobs(asked: Asked, reply: Reply) -> Reply:
    if "/blobs/" in asked.path and len(reply.body) > 1000:
        reply.length, reply.body, reply.hang_seconds = len(reply.body), b"", 5
    return reply


def other_ranges(asked: Asked, reply: Reply) -> Reply:
    """Cut each blob after 1,000 bytes, and go on somewhere else."""
    if "/blobs/" not in asked.path or len(reply.body) < 2000:
        return reply
    if "Range" in asked.headers:
        return Reply(206, reply.body[:1000], {"Content-Range": "bytes 5000-5999/9999"})
    return Reply(200, reply.body[:1000], length=len(reply.body))


@pytest.mark.parametrize(
    ("lie", "named"),
    [
        (reversed_blobs, "came as"),
        (longer_blobs, "sent more than"),
        (cut_blobs, "cut off the blob"),
        (stalled_blobs, "cut off the blob .*timed out"),
        (other_ranges, "left out a part"),
        (only("/blobs/", Reply(200, b"<html>")), "came as|cut off"),
        (only("/blobs/", Reply(404)), "404 Not Found"),
        (
            only("/blobs/", Reply(302, headers={"Location": "/v2/blobs/x"})),
            "redirects more than 10",
        ),
        (only("/", Reply(429, headers={"Retry-After": "0"})), "429 Too Many Requests"),
        (only("/", Reply(503, b"<html>")), "503 Service Unavailable"),
        (only("/manifests/", Reply(200, b"<html>", {"Content-Type": "text/html"})), "web page"),
        (only("/manifests/", Reply(200, b"{", length=500)), "cut off its answer"),
        (only("/manifests/", Reply(200, b"", length=9, hang_seconds=5)), "cut off its answer"),
        (only("/manifests/", Reply(200, b" " * (5 << 20))), "more than 4194304"),
        (only("/manifests/", Reply(200, b" " * (9 << 20))), "more than 8388608 bytes"),
        (only("/", Reply(0)), "can't be reached"),
    ],
)
def test_a_registry_that_lies(
    store: Store, lie: Callable[[Asked, Reply], Reply], named: str
) -> None:
    with serving(ImageServer(*Draft().image(), lie)) as server, unchanged(store, named):
        pulled(store, server.host)


XATTR = "SCHILY.xattr."
DEEP = "/".join(["d"] * 1500)
# Layers that are refused, each with a part of the sentence.
BAD_LAYERS = {
    "a name that climbs": ([member("../outside", content=b"x")], "'..' in its name"),
    "a name that climbs later": ([member("a/../../outside", content=b"x")], "'..' in its name"),
    "only dots": ([member("..", "directory")], "'..' in its name"),
    "the root as a file": ([member("/", "symlink", linkname="etc")], "replaces the root directory"),
    "a hard link that climbs": ([member("h", "hardlink", linkname="../../outside")], "'..'"),
    "a hard link to nothing": ([member("h", "hardlink", linkname="/outside")], "which is missing"),
    "a hard link through a link": (
        [
            member("l", "symlink", linkname="/../../.."),
            member("h", "hardlink", linkname="l/outside"),
        ],
        "which is missing",
    ),
    "a hard link to a directory": (
        [member("d", "directory"), member("h", "hardlink", linkname="d")],
        "not permitted|hard link to a directory",
    ),
    "a hard link to itself": ([member("h", "hardlink", linkname="h")], "which is missing"),
    "a file below a file": ([member("f"), member("f/g")], "no directory"),
    "a parent that is a loop": (
        [member("l", "symlink", linkname="l"), member("l/f")],
        "too many links",
    ),
    "parents that are a loop": (
        [member("a", "symlink", linkname="b"), member("b", "symlink", linkname="a"), member("a/f")],
        "too many links",
    ),
    "overlayfs' whiteout": ([member("w", "character")], "overlayfs whiteout"),
    "a whiteout of the root": ([member(".wh.")], "whiteout of no name"),
    "a whiteout of the parent": ([member("etc/.wh...")], "whiteout of no name"),
    "an unknown type": ([member("v", type=b"V")], "an entry of the type 'V'"),
    "a sparse file beyond its end": (
        [
            member(
                "s", content=b"abc", pax_headers={"GNU.sparse.map": "9,3", "GNU.sparse.size": "5"}
            )
        ],
        "beyond its end",
    ),
    "a sparse file of 4 EiB": (
        [
            member(
                "s",
                content=b"abc",
                pax_headers={"GNU.sparse.map": "9,3", "GNU.sparse.size": str(1 << 62)},
            )
        ],
        "File too large",
    ),
    "a name of 300 letters": ([member("n" * 300)], "name too long"),
    "a link of 5,000 letters": ([member("l", "symlink", linkname="n" * 5000)], "name too long"),
    "1,500 directories in one another": ([member(DEEP, "directory")], "in one another|too long"),
    "a large attribute": (
        [member("f", pax_headers={f"{XATTR}user.a": "x" * 200_000})],
        "f: ",
    ),
    "an attribute with a long name": (
        [member("f", pax_headers={f"{XATTR}user.{'a' * 300}": "x"})],
        "f: ",
    ),
    "a size of 8 EiB": ([member("f", pax_headers={"size": str(1 << 63)})], "that no file can have"),
    "a size of 4 EiB": ([member("f", pax_headers={"size": str(1 << 62)})], "holds more than"),
    "an owner of 2^32 - 1": (
        [member("f", pax_headers={"uid": str(2**32 - 1)})],
        "no file can have",
    ),
    "a device that Linux does not have": ([member("c", "character", devmajor=5000)], "5000:0"),
}


@pytest.mark.parametrize("name", BAD_LAYERS)
def test_a_bad_layer(store: Store, name: str) -> None:
    members, named = BAD_LAYERS[name]
    image = blobs_of([*KEPT, archive(*members)])
    with unchanged(store, named):
        load(store, io.BytesIO(oci_archive("app:1", *image)))


@pytest.mark.parametrize(
    "name", ["a name that climbs", "overlayfs' whiteout", "a name of 300 letters"]
)
def test_a_bad_layer_of_a_registry_or_of_a_tree(store: Store, name: str) -> None:
    members, named = BAD_LAYERS[name]
    layer = archive(*members)
    with serving(ImageServer(*blobs_of([*KEPT, layer]))) as server, unchanged(store, named):
        pulled(store, server.host)
    with unchanged(store, named):
        import_archive(store, io.BytesIO(layer), [NAME])


@pytest.mark.parametrize(
    "members",
    [
        [member("/outside", content=b"x")],
        [member("l", "symlink", linkname="/"), member("l/outside", content=b"x")],
        [member("l", "symlink", linkname="../../../../.."), member("l/outside", content=b"x")],
        [member("l", "symlink", linkname="nowhere/else"), member("l/outside", content=b"x")],
        [member("outside"), member("outside", "directory"), member("outside", content=b"x")],
        [member("outside", "block", devmajor=8, mode=0o666)],
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_stay_inside(
    store: Store, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    before = state(store)
    load(store, io.BytesIO(oci_archive("other:1", *blobs_of([archive(*members)]))))
    assert store.image("docker.io/library/other:1").chain_ids
    store.layout.untag("docker.io/library/other:1")
    assert leftovers(store) == set()
    assert state(store) == before


@pytest.mark.parametrize(
    ("limits", "named"),
    [(Limits(size_bytes=1 << 20), "more than 1048576 bytes"), (Limits(entries=3), "3 entries")],
)
def test_bombs_against_the_limits(store: Store, limits: Limits, named: str) -> None:
    bomb = archive(
        *(member(str(number)) for number in range(3)),
        member("zeros", content=bytes(ZEROS_BYTES)),
    )
    document = oci_archive("app:1", *blobs_of([bomb]))
    assert len(document) < 1 << 20
    with unchanged(store, named):
        load(store, io.BytesIO(document), limits)


def test_an_archive_of_zeros_against_the_limit(store: Store) -> None:
    document = gzip.compress(docker_archive(["app:1"], [bytes(ZEROS_BYTES)]))
    with unchanged(store, "The archive holds more than 1048576 bytes"):
        load(store, io.BytesIO(document), Limits(size_bytes=1 << 20))


def test_the_second_of_two_images_is_bad(store: Store) -> None:
    """Neither gets its name."""
    good = docker_archive(["app:1", "not a name"], KEPT)
    with unchanged(store, "not an image reference"):
        load(store, io.BytesIO(good))


def image(store: Store, *words: str, document: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lab.cli.main", "image", words[0], "--store"]
    return subprocess.run(
        [*command, str(store.directory), *words[1:]], input=document, capture_output=True,
        check=False, timeout=60,
    )  # fmt: skip


def bad_archive() -> bytes:
    """Return an archive whose layer has a name that would confuse a terminal."""
    return oci_archive("app:1", *blobs_of([archive(member("../x\n\x1b[31my"))]))


@pytest.mark.parametrize(
    ("words", "document"),
    [
        (["load"], b"no archive" * 100),
        (["load"], bad_archive()),
        (["load"], gzip.compress(bad_archive())[:-30]),
        (["import", "-"], archive(member("../x"))),
        (["import", "/nowhere/x.tar"], b""),
        (["load", "-i", "/nowhere/x.tar"], b""),
        (["load", "-i", "/etc"], b""),
        (["pull", "127.0.0.1:1/app:1"], b""),
        (["pull", "--mirror", "http://x", "app"], b""),
        (["push", "app:1", "127.0.0.1:1/app:1"], b""),
        (["pull", "Not A Name"], b""),
        (["save", "nothing"], b""),
        (["export", "nothing"], b""),
    ],
)
def test_the_command_line_says_one_sentence(
    store: Store, words: list[str], document: bytes
) -> None:
    before = state(store)
    done = image(store, *words, document=document)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"tonnage: ") and done.stderr.count(b"\n") == 1, done.stderr
    assert state(store) == before
    assert leftovers(store) == set()


@pytest.mark.parametrize("verb", ["load", "import"])
def test_a_full_disk(scratch: Path, verb: str) -> None:
    with small_disk(scratch / "small", 2) as small:
        store = Store(small / "images")
        load(store, io.BytesIO(oci_archive("app:1", *blobs_of(KEPT))))
        large = archive(member("large", content=os.urandom(4_000_000)))
        document = oci_archive("app:1", *blobs_of([large])) if verb == "load" else large
        before = [(name, found.digest) for name, found in store.layout.images()]
        done = image(store, verb, *(["-"] if verb == "import" else []), document=document)
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1), done.stderr
        assert b"No space left on device" in done.stderr
        assert [(name, found.digest) for name, found in store.layout.images()] == before
        assert [path.name for path in (store.directory / "leases").iterdir()] == ["lock"]
        assert leftovers(store) == set()


def test_a_load_that_is_killed(store: Store) -> None:
    """The next collection removes what it left."""
    before = state(store)
    layer = archive(member("large", content=os.urandom(4_000_000)))
    document = oci_archive("app:1", *blobs_of([layer]))
    command = [sys.executable, "-m", "lab.cli.main", "image", "load", "--store"]
    with subprocess.Popen([*command, str(store.directory)], stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(document[:3_000_000])
        process.stdin.flush()
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert leftovers(store) == set()
    assert state(store) == before


class Interrupted(io.BytesIO):
    """A file whose every read finds that the store is collected meanwhile."""

    def __init__(self, store: Store, content: bytes) -> None:
        super().__init__(content)
        self._store = store

    def read(self, size: int | None = -1, /) -> bytes:
        self._store.collect()
        return super().read(min(size or 1, 50_000))


@pytest.mark.parametrize("verb", ["load", "import"])
def test_a_collection_takes_nothing_that_is_being_added(store: Store, verb: str) -> None:
    layer = archive(member("large", content=os.urandom(300_000)))
    if verb == "load":
        document = oci_archive("other:1", *blobs_of([layer]))
        (image,) = load(store, Interrupted(store, document))
    else:
        image = import_archive(store, Interrupted(store, layer), ["docker.io/library/other:1"])
    store.collect()
    (top,) = store.layers(image)
    assert (top / "large").stat().st_size == 300_000
