"""Manifests: both families of media types, and documents that could be read as something else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtime.errors import InvalidConfig
from runtime.images import manifest
from runtime.images.manifest import Index, Manifest, Platform, chain_ids, choose, decode_manifest

DIGEST = f"sha256:{'a' * 64}"
BLOB = {"mediaType": manifest.LAYER_GZIP, "digest": DIGEST, "size": 3}
IMAGE = {"schemaVersion": 2, "config": BLOB, "layers": [BLOB]}
INDEX = {"schemaVersion": 2, "manifests": [BLOB]}


def decode(document: dict[str, Any], media_type: str = "") -> Manifest | Index:
    return decode_manifest(json.dumps(document).encode(), media_type, "x")


@pytest.mark.parametrize("media_type", [*manifest.MANIFESTS, "", "application/json"])
def test_a_manifest(media_type: str) -> None:
    found = decode(IMAGE, media_type)
    assert isinstance(found, Manifest) and found.layers[0].digest == DIGEST


@pytest.mark.parametrize("media_type", [*manifest.INDEXES, ""])
def test_an_index(media_type: str) -> None:
    assert isinstance(decode(INDEX, media_type), Index)


@pytest.mark.parametrize(
    ("document", "media_type", "named"),
    [
        ({**IMAGE, **INDEX}, "", "at once"),
        (INDEX, manifest.MANIFEST, "it is an index, but came as"),
        ({**IMAGE, "mediaType": manifest.INDEX}, manifest.MANIFEST, "calls itself"),
        ({"schemaVersion": 1}, "", "schema 1 is too old"),
        ({**IMAGE, "mediaType": "text/plain"}, "", "not an image's manifest"),
        ({"schemaVersion": 2}, "", "config"),
        ({**IMAGE, "layers": [{**BLOB, "size": -1}]}, "", "layers"),
        ({**IMAGE, "layers": [{**BLOB, "size": "3"}]}, "", "layers"),
        ({**IMAGE, "layers": [{**BLOB, "digest": "md5:12"}]}, "", "layers"),
        ({**IMAGE, "layers": [{**BLOB, "digest": "sha256:../../etc"}]}, "", "layers"),
    ],
)
def test_a_document_that_is_no_image_is_refused(
    document: dict[str, Any], media_type: str, named: str
) -> None:
    with pytest.raises(InvalidConfig, match=named):
        decode(document, media_type)


@pytest.mark.parametrize("document", [b"", b"[]", b"<html>", b"\xff"])
def test_what_is_no_json_object_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidConfig, match="x: "):
        decode_manifest(document, "", "x")


def test_a_platform_is_chosen_by_its_variant_too() -> None:
    platforms = [("arm", "v6"), ("arm", "v7"), ("amd64", "")]
    entries = [
        {
            **BLOB,
            "digest": f"sha256:{n}{'0' * 63}",
            "platform": {"os": "linux", "architecture": a, "variant": v},
        }
        for n, (a, v) in enumerate(platforms)
    ]
    index = decode({**INDEX, "manifests": entries})
    assert isinstance(index, Index)
    assert choose(index, Platform("arm", "linux", "v7"), "x").digest.startswith("sha256:1")
    assert choose(index, Platform("arm", "linux", "v5"), "x").digest.startswith("sha256:0")
    with pytest.raises(
        InvalidConfig, match="no image for linux/s390x, only linux/amd64, linux/arm/v6"
    ):
        choose(index, Platform("s390x", "linux"), "x")


def test_chain_ids_are_those_of_the_specification() -> None:
    base, second = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    assert chain_ids([base]) == [base]
    assert chain_ids([base, second])[1] == manifest.digest_of(f"{base} {second}".encode())
