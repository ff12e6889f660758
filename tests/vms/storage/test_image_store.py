"""The image store: imports from paths and URLs, removal and resizing."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.vms.storage.sample_images import MIB, needs_qemu_img
from vms import MachineError
from vms.storage import disks
from vms.storage.image_store import Store, file_digest

if TYPE_CHECKING:
    from collections.abc import Iterator


def cloud_image(path: Path) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "8M"], check=True)
    subprocess.run(
        ["qemu-io", "-f", "qcow2", "-c", "write -P 5 0 2M", str(path)],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Yield a store; no staging directory may remain in it."""
    images = Store(tmp_path / "images")
    yield images
    assert list(images.directory.glob(".*")) == []


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Yield a directory that is served over HTTP, and its URL."""
    served = tmp_path / "served"
    served.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(served))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield served, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@needs_qemu_img
def test_an_image_is_imported_from_a_path_and_removed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONNAGE_STATE", str(tmp_path))
    source = cloud_image(tmp_path / "cloud.qcow2")
    image = store.import_image("cloud", str(source))
    assert image.digest == f"sha256:{file_digest(source)}"
    assert image.virtual_bytes == 8 * MIB
    assert store.images() == [image] == [store.find("cloud")]
    with pytest.raises(MachineError, match="There is an image cloud already"):
        store.import_image("cloud", str(source))
    clone = tmp_path / "machines/box/disk.qcow2"
    clone.parent.mkdir(parents=True)
    disks.clone(image.disk, clone)
    for change in (
        lambda: store.remove("cloud"),
        lambda: store.resize("cloud", 16 * MIB),
    ):
        with pytest.raises(MachineError, match="Machine box reads from image cloud"):
            change()
    overlay = clone.rename(clone.with_name("disk.snapshot"))
    with pytest.raises(MachineError, match="Machine box reads from image cloud"):
        store.remove("cloud")
    overlay.unlink()
    larger = store.resize("cloud", 16 * MIB)
    assert larger.virtual_bytes == 16 * MIB
    assert larger.digest != image.digest
    with pytest.raises(MachineError, match="can only grow"):
        store.resize("cloud", MIB)
    assert store.find("cloud") == larger
    store.remove("cloud")
    assert store.images() == []
    with pytest.raises(MachineError, match="There is no image cloud"):
        store.find("cloud")


@needs_qemu_img
def test_an_image_is_imported_from_a_url(store: Store, site: tuple[Path, str]) -> None:
    served, url = site
    digest = file_digest(cloud_image(served / "cloud.qcow2"))
    long = hashlib.sha512((served / "cloud.qcow2").read_bytes()).hexdigest()
    assert store.import_image("a", f"{url}/cloud.qcow2", checksum=digest).digest.endswith(digest)
    store.import_image("b", f"{url}/cloud.qcow2", checksum=f"sha512:{long.upper()}")
    for checksum, address, sentence in (
        (None, "cloud.qcow2", "needs a checksum"),
        ("0" * 64, "cloud.qcow2", "does not match its checksum: its sha256 is"),
        ("sha512:" + "0" * 64, "cloud.qcow2", "is not a checksum"),
        (digest, "nowhere", "404"),
    ):
        with pytest.raises(MachineError, match=sentence):
            store.import_image("c", f"{url}/{address}", checksum=checksum)
    with pytest.raises(MachineError, match=r"Can't fetch http://127.0.0.1:1/x: .*refused"):
        store.import_image("c", "http://127.0.0.1:1/x", checksum=digest)
    assert [image.name for image in store.images()] == ["a", "b"]


@needs_qemu_img
def test_a_damaged_or_unsafe_image_is_not_imported(store: Store, tmp_path: Path) -> None:
    good = cloud_image(tmp_path / "good.qcow2")
    cut = tmp_path / "cut.qcow2"
    cut.write_bytes(good.read_bytes()[: MIB + 4096])
    outside = tmp_path / "outside.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", outside],
        check=True,
    )
    text = tmp_path / "text"
    text.write_text("no image")
    for path, sentence in (
        (cut, "is truncated"),
        (outside, "reads from /etc/passwd"),
        (text, "is not a qcow2 image"),
        (tmp_path / "nowhere", "There is no file"),
    ):
        with pytest.raises(MachineError, match=sentence):
            store.import_image("bad", str(path))
    with pytest.raises(MachineError, match="is not a valid name for an image"):
        store.import_image("../bad", str(good))
    assert store.images() == []
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(good.read_bytes()))
    for path, format_, sentence in (
        (packed, "qcow2", "compressed with gzip: unpack it first"),
        (packed, "raw", "compressed with gzip"),
        (good, "raw", "is a qcow2 image, not a raw image"),
    ):
        with pytest.raises(MachineError, match=sentence):
            store.import_image("bad", str(path), source_format=format_)
    assert store.images() == []
    raw = tmp_path / "raw"
    raw.write_bytes(b"x" * MIB)
    assert store.import_image("raw", str(raw), source_format="raw").virtual_bytes == MIB
