"""Uploads to a real registry: in chunks, through a proxy that refuses them, and cut off."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import pytest

from runtime.images import manifest
from runtime.images.archives import load
from runtime.images.manifest import Descriptor
from runtime.images.pull import pull
from runtime.images.push import push
from runtime.images.reference import parse
from runtime.images.registry.http import Options
from runtime.images.registry.repository import Repository
from runtime.images.store import Store
from tests.runtime.images.archive import archive, member
from tests.runtime.images.image import blobs_of, oci_archive
from tests.system.runtime.images import real_registry
from tests.system.runtime.images.proxy import Proxy, forwarding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.system.runtime.images.real_registry import Registry

NAME = "docker.io/library/app:1"
NOISE = hashlib.shake_256(b"noise").digest(3_000_000)
BLOB = Descriptor(manifest.LAYER_TAR, f"sha256:{hashlib.sha256(NOISE).hexdigest()}", len(NOISE))


@pytest.fixture
def plain(scratch: Path) -> Iterator[Registry]:
    with real_registry.running(scratch / "registry") as found:
        yield found


def port(registry: Registry) -> int:
    return int(registry.host.rpartition(":")[2])


def sent(host: str, chunk_bytes: int = 0) -> Repository:
    """Upload the blob; return the repository."""
    there = Repository(parse(f"{host}/app"), Options(timeout_seconds=10), writable=True)
    assert there.upload(BLOB, io.BytesIO(NOISE), chunk_bytes=chunk_bytes)
    return there


def content(there: Repository) -> bytes:
    return b"".join(piece for _, piece in there.blob(BLOB))


@pytest.mark.parametrize("kind", real_registry.KINDS)
def test_an_image_is_pushed_in_chunks(scratch: Path, kind: str) -> None:
    store = Store(scratch / "store")
    layers = [archive(member("noise", content=NOISE)), archive(member("y", content=b"y"))]
    load(store, io.BytesIO(oci_archive("app:1", *blobs_of(layers))))
    with real_registry.running(scratch / "registry", kind) as registry:
        reference = parse(f"{registry.host}/app:1")
        there = registry.repository("app:1", writable=True)
        digest = push(store, NAME, reference, there, chunk_bytes=700_000).digest
        image = pull(Store(scratch / "other"), reference, registry.repository("app:1"))
    assert image.descriptor.digest == digest == store.image(NAME).descriptor.digest


def test_a_proxy_that_refuses_a_whole_blob(plain: Registry) -> None:
    with forwarding(Proxy(port(plain), most_bytes=1_000_000)) as proxy:
        there = sent(proxy.host)
        assert content(there) == NOISE
    assert proxy.requests.count(b"PATCH") >= 4


@pytest.mark.parametrize("chunk_bytes", [0, 2_000_000])
def test_uploads_that_are_cut_off(plain: Registry, chunk_bytes: int) -> None:
    """Resumed where the registry keeps the beginning, or sent again."""
    with forwarding(Proxy(port(plain), cut_at_bytes=1_000_000, cuts=2)) as proxy:
        there = sent(proxy.host, chunk_bytes)
        assert content(there) == NOISE
    assert proxy.cuts == 0
    assert b"GET" in proxy.requests


def test_a_blob_is_mounted_or_uploaded(plain: Registry) -> None:
    """The registry has it in one repository, and not in the other that is named."""
    sent(plain.host)
    for number, (origin, mounts) in enumerate([("app", True), ("nothing", False)]):
        there = plain.repository(f"copy{number}", writable=True)
        file = io.BytesIO(NOISE)
        assert there.upload(BLOB, file, mount_from=origin) is not mounts
        assert (file.tell() == 0) is mounts
        assert content(there) == NOISE
