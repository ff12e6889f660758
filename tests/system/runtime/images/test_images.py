"""Images in the store: loaded, listed, saved, removed; what other tools read of it."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.userland.root_tree import debian_suite
from runtime.errors import InvalidConfig, NotFound
from runtime.images.archives import load, save
from runtime.images.imported import bootstrap, import_archive
from runtime.images.manifest import Execution
from runtime.images.store import Store
from tests.runtime.images.archive import archive, member
from tests.runtime.images.image import blobs_of, docker_archive, oci_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "docker.io/library/app:1"
LAYERS = [
    archive(member("etc", "directory"), member("etc/x", content=b"x" * 5000), member("gone")),
    archive(member("etc/y", content=b"y"), member(".wh.gone")),
]


@pytest.fixture
def store() -> Iterator[Store]:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tonnage-test-") as directory:
        yield Store(Path(directory) / "images")


def loaded(store: Store, name: str = "app:1") -> bytes:
    document = oci_archive(name, *blobs_of(LAYERS))
    load(store, io.BytesIO(document))
    return document


def saved(store: Store, *names: str) -> bytes:
    file = io.BytesIO()
    save(store, names, file)
    return file.getvalue()


def test_an_archive_of_ocis(store: Store) -> None:
    loaded(store)
    (image,) = store.images()
    assert (image.name, len(image.manifest.layers)) == (NAME, 2)
    assert all(store.snapshots.has(each) for each in image.chain_ids)
    assert store.snapshots.size_bytes(image.chain_ids) == 5001
    top, base = store.snapshots.layers(image.chain_ids)
    assert (base / "etc/x").read_bytes() == b"x" * 5000
    assert (top / "etc/y").read_bytes() == b"y"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_an_archive_of_dockers(store: Store, compress: type[bytes]) -> None:
    images = load(store, io.BytesIO(compress(docker_archive(["app:1", "app:2"], LAYERS))))
    assert [image.name for image in images] == [NAME, "docker.io/library/app:2"]
    assert [image.name for image in store.images()] == [NAME, "docker.io/library/app:2"]


def test_what_is_saved_is_the_same_each_time_and_loads_again(store: Store) -> None:
    loaded(store)
    before = store.image(NAME)
    document = saved(store, NAME)
    assert saved(store, NAME) == document
    store.layout.untag(NAME)
    assert store.collect().blobs == 4
    assert not list(store.layout.blobs())
    (image,) = load(store, io.BytesIO(document))
    assert image.descriptor.digest == before.descriptor.digest


def test_garbage_collection_leaves_what_is_named_or_leased(store: Store) -> None:
    loaded(store)
    store.tag(NAME, "docker.io/library/other:1")
    store.layout.untag(NAME)
    assert store.collect().blobs == 0
    image = store.image("docker.io/library/other:1")
    with store.lease() as lease:
        lease.add(image.descriptor.digest, image.id, *image.chain_ids)
        lease.add(*(layer.digest for layer in image.manifest.layers))
        store.layout.untag("docker.io/library/other:1")
        assert store.collect().blobs == 0
    collected = store.collect()
    assert (collected.blobs, collected.snapshots) == (4, 2)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        (b"", "not an archive|neither"),
        (b"no archive at all" * 100, "not an archive"),
        (archive(member("x")), "neither index.json nor manifest.json"),
        (archive(member("manifest.json", content=b"{")), "not JSON"),
        (archive(member("manifest.json", content=b"[{}]")), "without Config"),
        (archive(member("index.json", content=b"[]")), "index.json"),
        (oci_archive("app:1", blobs_of(LAYERS)[0], {}), "no file blobs"),
        (oci_archive("not a name", *blobs_of(LAYERS)), "not an image reference"),
    ],
)
def test_what_is_no_image_changes_nothing(store: Store, document: bytes, named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        load(store, io.BytesIO(document))
    assert store.images() == []
    store.collect()
    assert not list(store.layout.blobs())
    assert not list((store.directory / "partial").iterdir())


def test_a_layer_of_another_digest_is_refused(store: Store) -> None:
    descriptor, blobs = blobs_of(LAYERS)
    lying = {digest: content.replace(b"diff_ids", b"diff_ids") for digest, content in blobs.items()}
    packed = next(digest for digest, content in blobs.items() if content.startswith(b"\x1f\x8b"))
    lying[packed] = gzip.compress(b"something else")
    with pytest.raises(InvalidConfig, match="came as"):
        load(store, io.BytesIO(oci_archive("app:1", descriptor, lying)))
    assert store.images() == []


def test_an_image_that_is_not_there(store: Store) -> None:
    for call in (store.image, store.layout.untag):
        with pytest.raises(NotFound, match="no image nothing"):
            call("nothing")


def test_skopeo_and_umoci_read_the_store(store: Store, tmp_path: Path) -> None:
    """Both take the directory as it is; umoci unpacks the same tree."""
    for program in ("skopeo", "umoci"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    loaded(store)
    inspected = subprocess.run(
        ["skopeo", "inspect", f"oci:{store.directory}:{NAME}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(inspected.stdout)["Digest"] == store.image(NAME).descriptor.digest


def test_the_verbs(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "source.tar"
    source.write_bytes(oci_archive("app:1", *blobs_of(LAYERS)))

    def image(verb: str, *words: str, code: int = 0) -> str:
        options = ["--store", str(store.directory)]
        done = subprocess.run(
            [sys.executable, "-m", "lab.cli.main", "image", verb, *options, *words],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    assert image("load", "--input", str(source)) == f"Loaded image: {NAME}\n"
    image("tag", "app:1", "localhost:5000/other:2")
    listed = image("ls").splitlines()
    assert listed[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert sorted(line.split()[:2] for line in listed[1:]) == [
        ["app", "1"], ["localhost:5000/other", "2"],
    ]  # fmt: skip
    assert image("ls", "app", "--format", "{{.Repository}}:{{.Tag}}") == "app:1\n"
    identifier = image("ls", "--quiet").strip()
    assert len(identifier) == 12
    (document,) = json.loads(image("inspect", "app:1"))
    assert document["Id"].startswith(f"sha256:{identifier}")
    assert document["Config"]["Cmd"] == ["/bin/sh"]
    assert "step 1" in image("history", "app:1")
    image("save", "app:1", "--output", str(tmp_path / "saved.tar"))
    assert (tmp_path / "saved.tar").stat().st_size > 0
    assert (
        image("rm", "app:1", "other:9", code=1)
        == "tonnage: There is no image docker.io/library/other:9.\n"
    )
    assert "no image" in image("inspect", "app:1", code=2)
    image("rm", "localhost:5000/other:2")
    assert not list(store.layout.blobs())
    shutil.rmtree(store.directory)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_a_root_file_system_becomes_an_image(
    store: Store, tmp_path: Path, compress: type[bytes]
) -> None:
    execution = Execution(cmd=["/bin/sh"], env=["A=b"])
    image = import_archive(store, io.BytesIO(compress(LAYERS[0])), [NAME], execution, "by a test")
    assert store.image(NAME).config == image.config
    assert image.config.config == execution
    assert (store.snapshots.layers(image.chain_ids)[0] / "etc/x").stat().st_size == 5000


@pytest.mark.parametrize("content", [b"", b"not an archive" * 100, gzip.compress(b"neither")])
def test_a_file_that_is_not_an_archive_is_not_imported(store: Store, content: bytes) -> None:
    with pytest.raises(InvalidConfig):
        import_archive(store, io.BytesIO(content), [NAME])
    assert store.images() == []
    assert not list(store.layout.blobs())


def test_a_base_image_of_debian_packages(store: Store) -> None:
    if not shutil.which("mmdebstrap"):
        pytest.skip("mmdebstrap is not installed")
    image = bootstrap(store, f"debian:{debian_suite()}", [NAME])
    top = store.snapshots.layers(image.chain_ids)[0]
    assert (top / "etc/debian_version").exists()
    assert (top / "usr/bin/dpkg").stat().st_size > 0


@pytest.mark.parametrize("release", ["debian", "fedora:40", "debian:../x", "debian:"])
def test_a_release_that_is_not_debians_is_refused(store: Store, release: str) -> None:
    with pytest.raises(InvalidConfig, match="not a Debian release"):
        bootstrap(store, release, [NAME])
