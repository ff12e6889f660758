"""Images that can't be found, each refused in a sentence; nothing is left in the store."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from lab.errors import InvalidConfig, LabError, NotFound
from lab.userland.image_source import _split, found
from runtime.images.store import Store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", "fast")


def refusal(reference: str, store: Store, kind: type[LabError]) -> str:
    with pytest.raises(kind) as raised, found(reference, lambda _: None, store):
        pass
    assert store.images() == []
    assert not list((store.directory / "partial").iterdir())
    return str(raised.value)


def test_a_name_that_nobody_has_is_not_found(store: Store) -> None:
    sentence = refusal("127.0.0.1:1/app:1", store, NotFound)
    assert sentence.startswith("The store has no image 127.0.0.1:1/app:1, and it can't be pulled: ")


@pytest.mark.parametrize(
    ("reference", "kind", "sentence"),
    [
        ("App", InvalidConfig, "is not an image reference"),
        ("docker-archive:/none.tar", NotFound, "There is no file /none.tar."),
        ("oci-archive:/none.tar:app:1", NotFound, "There is no file /none.tar."),
        ("oci:/none", NotFound, "There is no file /none/index.json."),
    ],
)
def test_a_missing_file_is_named(
    store: Store, reference: str, kind: type[LabError], sentence: str
) -> None:
    assert sentence in refusal(reference, store, kind)


def test_an_archive_of_something_else_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "other.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("readme"), io.BytesIO())
    sentence = refusal(f"docker-archive:{path}", store, InvalidConfig)
    assert "neither index.json nor manifest.json" in sentence
    path.write_bytes(b"no archive at all" * 100)
    assert "not an archive" in refusal(f"oci-archive:{path}", store, InvalidConfig)


def test_a_path_may_have_a_colon_itself(tmp_path: Path) -> None:
    path = tmp_path / "a:b"
    path.mkdir()
    assert _split(str(path)) == (path, "")
    assert _split(f"{tmp_path}:app:1") == (tmp_path, "app:1")
