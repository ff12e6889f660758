"""Pull and push with a real registry: plain, with a password, and with TLS of its own authority."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.errors import ContainerError, InvalidConfig, NotFound, Unavailable
from runtime.images import manifest
from runtime.images.archives import load
from runtime.images.manifest import Descriptor, Index, Platform
from runtime.images.pull import pull
from runtime.images.push import push
from runtime.images.reference import parse
from runtime.images.registry.credentials import Credentials
from runtime.images.registry.http import Options
from runtime.images.registry.repository import Repository
from runtime.images.store import Store
from tests.runtime.images.archive import archive, member
from tests.runtime.images.image import blobs_of, oci_archive
from tests.system.runtime.images import real_registry
from tests.system.runtime.images.real_registry import Registry
from tests.system.runtime.small_disk import small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator

NOISE = hashlib.shake_256(b"noise").digest(3_000_000)
LAYERS = [
    archive(member("etc", "directory"), member("etc/noise", content=NOISE)),
    archive(member("etc/y", content=b"y")),
    archive(member("etc/.wh.y"), member("z", content=b"z")),
]


@pytest.fixture(params=real_registry.KINDS)
def registry(request: pytest.FixtureRequest, scratch: Path) -> Iterator[Registry]:
    with real_registry.running(scratch / "registry", request.param) as found:
        yield found


@pytest.fixture
def store(scratch: Path) -> Store:
    """A store that has the image `app:1`."""
    store = Store(scratch / "store")
    load(store, io.BytesIO(oci_archive("app:1", *blobs_of(LAYERS))))
    return store


def pushed(store: Store, registry: Registry, name: str = "app:1") -> str:
    """Push the image to the registry; return its digest there."""
    reference = parse(f"{registry.host}/{name}")
    there = registry.repository(name, writable=True)
    return push(store, "docker.io/library/app:1", reference, there).digest


def test_what_is_pushed_is_pulled_with_the_same_digest(
    store: Store, registry: Registry, scratch: Path
) -> None:
    digest = pushed(store, registry)
    other = Store(scratch / "other", "fast")
    steps: list[tuple[str, str]] = []
    reference = parse(f"{registry.host}/app:1")
    image = pull(
        other, reference, registry.repository("app:1"),
        progress=lambda blob, step, _: steps.append((blob.digest, step)),
    )  # fmt: skip
    assert (
        image.descriptor.digest
        == digest
        == store.image("docker.io/library/app:1").descriptor.digest
    )
    assert [each.name for each in other.images()] == [str(reference)]
    base = other.snapshots.layers(image.chain_ids)[-1]
    assert (base / "etc/noise").read_bytes() == NOISE
    unpacked = [blob for blob, step in steps if step == "unpack"]
    assert unpacked == [layer.digest for layer in image.manifest.layers]
    assert not list(other.layout.partials())


def test_what_is_there_is_not_fetched_again(store: Store, registry: Registry) -> None:
    pushed(store, registry)
    steps: list[str] = []
    reference = parse(f"{registry.host}/app:1")
    pull(store, reference, registry.repository("app:1"),
         progress=lambda _, step, __: steps.append(step))  # fmt: skip
    assert "fetch" not in steps


def test_an_image_is_pulled_by_its_digest(store: Store, registry: Registry, scratch: Path) -> None:
    digest = pushed(store, registry)
    reference = parse(f"{registry.host}/app@{digest}")
    image = pull(Store(scratch / "other"), reference, registry.repository("app"))
    assert image.descriptor.digest == digest


def test_an_index_is_pulled_for_its_platform(
    store: Store, registry: Registry, scratch: Path
) -> None:
    repository = registry.repository("many:1", writable=True)
    entries = []
    for architecture in ("amd64", "arm64"):
        found, blobs = blobs_of(LAYERS[:1], architecture=architecture)
        for digest, content in blobs.items():
            path = scratch / "blob"
            path.write_bytes(content)
            if digest != found.digest:
                with path.open("rb") as file:
                    repository.upload(Descriptor("x", digest, len(content)), file)
        repository.put_manifest(found.digest, found, blobs[found.digest])
        platform = Platform(architecture, "linux")
        entries.append(Descriptor(found.media_type, found.digest, found.size, platform))
    document = manifest.encode(Index(2, entries, manifest.INDEX))
    index = Descriptor(manifest.INDEX, manifest.digest_of(document), len(document))
    repository.put_manifest("1", index, document)
    other = Store(scratch / "other")
    reference = parse(f"{registry.host}/many:1")
    for architecture in ("arm64", "amd64"):
        image = pull(other, reference, repository, platform=Platform(architecture, "linux"))
        assert image.config.architecture == architecture
    with pytest.raises(InvalidConfig, match="no image for linux/s390x"):
        pull(other, reference, repository, platform=Platform("s390x", "linux"))


def test_a_blob_is_mounted_from_another_repository(store: Store, registry: Registry) -> None:
    pushed(store, registry)
    blob = store.image("docker.io/library/app:1").manifest.layers[0]
    there = registry.repository("copy:1", writable=True)
    with store.layout.path(blob.digest).open("rb") as file:
        assert there.upload(blob, file, mount_from="app") is False
        assert file.tell() == 0


def test_what_is_not_there(store: Store, registry: Registry, scratch: Path) -> None:
    other = Store(scratch / "other")
    reference = parse(f"{registry.host}/nothing:1")
    with pytest.raises(NotFound, match="404 Not Found"):
        pull(other, reference, registry.repository("nothing:1"))
    assert other.images() == []


@pytest.mark.parametrize("registry", ["password"], indirect=True)
@pytest.mark.parametrize("known", [None, Credentials("me", "wrong")])
def test_a_wrong_password(registry: Registry, scratch: Path, known: Credentials | None) -> None:
    reference = parse(f"{registry.host}/app:1")
    with pytest.raises(Unavailable, match=r"docker login|401 Unauthorized"):
        pull(Store(scratch / "s"), reference, Repository(reference, Options(known)))


@pytest.mark.parametrize("registry", ["tls"], indirect=True)
def test_a_certificate_that_nobody_vouches_for(
    store: Store, registry: Registry, scratch: Path
) -> None:
    pushed(store, registry)
    reference = parse(f"{registry.host}/app:1")
    with pytest.raises(Unavailable, match=r"certificate .* is not trusted"):
        pull(Store(scratch / "s"), reference, Repository(reference, Options()))
    pull(Store(scratch / "s"), reference, Repository(reference, Options(insecure=True)))


@pytest.mark.parametrize("registry", ["plain"], indirect=True)
def test_a_pull_that_is_killed_is_gone_on_with(
    store: Store, registry: Registry, scratch: Path
) -> None:
    """Nothing of it is seen; the next pull, or a collection, finds what it left."""
    pushed(store, registry)
    other = scratch / "other"
    code = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from runtime.images.pull import pull\n"
        "from runtime.images.reference import parse\n"
        "from runtime.images.registry.http import Options\n"
        "from runtime.images.registry.repository import Repository\n"
        "from runtime.images.store import Store\n"
        "def die(blob, step, size):\n"
        "    if step == 'fetch' and size > 500_000: os.kill(os.getpid(), signal.SIGKILL)\n"
        "reference = parse(sys.argv[2])\n"
        "store, there = Store(Path(sys.argv[1])), Repository(reference, Options())\n"
        "pull(store, reference, there, progress=die)\n"
    )
    reference = parse(f"{registry.host}/app:1")
    done = subprocess.run(
        [sys.executable, "-c", code, other, str(reference)], check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    left = Store(other)
    assert left.images() == []
    steps: list[int] = []

    def note(blob: Descriptor, step: str, size_bytes: int) -> None:
        if step == "fetch" and blob.size > len(NOISE):
            steps.append(size_bytes)

    pull(left, reference, registry.repository("app:1"), progress=note)
    assert min(steps) > 500_000
    assert [image.name for image in left.images()] == [str(reference)]
    left.collect()
    assert not list(left.layout.partials())
    assert not [
        path for path in left.snapshots.directory.iterdir() if path.name.startswith(".new-")
    ]


@pytest.mark.parametrize("registry", ["plain"], indirect=True)
def test_two_pulls_share_the_work(store: Store, registry: Registry, scratch: Path) -> None:
    pushed(store, registry)
    arguments = ["pull", "--store", str(scratch / "shared"), f"{registry.host}/app:1"]
    command = [sys.executable, "-m", "lab.cli.main", "image", *arguments]
    pulls = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [each.communicate(timeout=60) for each in pulls]
    assert [each.returncode for each in pulls] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    fetched = sum(error.count("fetched") for _, error in outputs)
    assert fetched == len(LAYERS)


@pytest.mark.parametrize("registry", ["plain"], indirect=True)
def test_a_full_disk_leaves_nothing(store: Store, registry: Registry, scratch: Path) -> None:
    pushed(store, registry)
    with small_disk(scratch / "small", 1) as small:
        reference = parse(f"{registry.host}/app:1")
        other = Store(small / "images")
        with pytest.raises((ContainerError, OSError), match="No space left"):
            pull(other, reference, registry.repository("app:1"))
        assert other.images() == []
