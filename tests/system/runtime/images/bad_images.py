"""Images that are invalid in one point each, as registries and archives would hold them."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from runtime.images import manifest
from runtime.images.manifest import Descriptor
from tests.runtime.images.archive import archive, member
from tests.runtime.images.image import descriptor, digest_of

LAYER = archive(member("etc", "directory"), member("etc/x", content=b"x" * 5000))
NOISE = archive(member("noise", content=hashlib.shake_256(b"noise").digest(200_000)))
GZIP, ZSTD, TAR = manifest.LAYER_GZIP, manifest.LAYER_ZSTD, manifest.LAYER_TAR


@dataclass
class Draft:
    """The parts of an image before they are put together; a test changes one of them."""

    layers: list[tuple[str, bytes]] = field(
        default_factory=lambda: [(GZIP, gzip.compress(each, mtime=0)) for each in (LAYER, NOISE)]
    )
    diff_ids: list[str] = field(default_factory=lambda: [digest_of(LAYER), digest_of(NOISE)])
    config: dict[str, Any] = field(default_factory=lambda: {"architecture": "amd64", "os": "linux"})
    changed: dict[str, Any] = field(default_factory=dict)
    media_type: str = manifest.MANIFEST
    document: bytes | None = None
    blobs: dict[str, bytes] = field(default_factory=dict)

    def image(self) -> tuple[Descriptor, dict[str, bytes]]:
        """Return the manifest of the image, and all blobs by their digests."""
        config = json.dumps(
            {**self.config, "rootfs": {"type": "layers", "diff_ids": self.diff_ids}}
        ).encode()
        fields = {
            "schemaVersion": 2,
            "config": _fields(manifest.CONFIG, config),
            "layers": [_fields(media_type, content) for media_type, content in self.layers],
            **self.changed,
        }
        document = json.dumps(fields).encode() if self.document is None else self.document
        contents = [config, document, *(content for _, content in self.layers)]
        blobs = {digest_of(each): each for each in contents} | self.blobs
        return descriptor(self.media_type, document), blobs


def _fields(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def zstd(content: bytes) -> bytes:
    """Return a zstd stream, or skip the test."""
    module = pytest.importorskip("backports.zstd", reason="backports.zstd is not installed")
    stream: bytes = module.compress(content)
    return stream


Change = Callable[[Draft], None]


def layer(media_type: str, content: Callable[[], bytes], diff_id: str = "") -> Change:
    """Return a change of the first layer."""

    def change(draft: Draft) -> None:
        draft.layers[0] = (media_type, content())
        if diff_id:
            draft.diff_ids[0] = diff_id

    return change


def fields(**changed: Any) -> Change:
    """Return a change of the manifest's fields."""
    return lambda draft: draft.changed.update(changed)


def document(content: bytes, media_type: str = manifest.MANIFEST) -> Change:
    """Return a change of the whole manifest."""

    def change(draft: Draft) -> None:
        draft.document, draft.media_type = content, media_type

    return change


def index_of_index(draft: Draft) -> None:
    """Make the image an index that names an index."""
    inner = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    draft.blobs[digest_of(inner)] = inner
    entry = {
        **_fields(manifest.INDEX, inner),
        "platform": {"os": "linux", "architecture": "amd64"},
    }
    outer = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    document(outer, manifest.INDEX)(draft)


def large_config(draft: Draft) -> None:
    """Give the configuration a size that no configuration has."""
    fields(config={"mediaType": manifest.CONFIG, "digest": digest_of(b""), "size": 5 << 20})(draft)


INDEX = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
NO_DIGEST = {"mediaType": GZIP, "digest": "sha256:../../../../etc/passwd", "size": 3}

# Each with a part of the sentence that refuses it.
BAD_IMAGES: dict[str, tuple[Change, str]] = {
    "gzip, truncated": (
        layer(GZIP, lambda: gzip.compress(LAYER, mtime=0)[:-20]),
        "ends too early",
    ),
    "gzip, with something behind": (
        layer(GZIP, lambda: gzip.compress(LAYER, mtime=0) + b"behind"),
        "other content",
    ),
    "gzip, damaged": (
        layer(GZIP, lambda: gzip.compress(LAYER, mtime=0)[:-8] + bytes(8)),
        "damaged",
    ),
    "zstd, truncated": (layer(ZSTD, lambda: zstd(LAYER)[:-3]), "ends too early"),
    "zstd, with something behind": (layer(ZSTD, lambda: zstd(LAYER) + b"behind"), "other content"),
    "gzip that calls itself zstd": (layer(ZSTD, lambda: gzip.compress(LAYER)), "other content"),
    "zstd that calls itself gzip": (layer(GZIP, lambda: zstd(LAYER)), "other content"),
    "gzip that calls itself tar": (
        layer(TAR, lambda: gzip.compress(LAYER * 9)),
        "checksum|ends in|unpacks to",
    ),
    "another diff_id": (layer(TAR, lambda: LAYER, digest_of(b"other")), "unpacks to sha256"),
    "a layer that is no archive": (
        layer(TAR, lambda: b"x" * 1024, digest_of(b"x" * 1024)),
        "checksum is no number",
    ),
    "a layer that ends too early": (
        layer(TAR, lambda: LAYER[:2000], digest_of(LAYER[:2000])),
        "ends inside",
    ),
    "a layer of another media type": (
        layer("application/vnd.in-toto+json", lambda: b"{}"),
        "is of the media type",
    ),
    "a layer that is a web page": (
        layer("text/html", lambda: b"<html>"),
        "is of the media type",
    ),
    "fewer layers than diff_ids": (fields(layers=[]), "diff_ids has 2 entries for 0 layers"),
    "a configuration of 5 MiB": (large_config, "configuration (has|of) 5242880 bytes"),
    "a configuration that is a layer": (
        fields(config=_fields(manifest.CONFIG, gzip.compress(LAYER, mtime=0))),
        "malformed",
    ),
    "a digest with slashes": (fields(layers=[NO_DIGEST]), "layers"),
    "a negative size": (
        fields(layers=[{**NO_DIGEST, "digest": digest_of(b""), "size": -3}]),
        "size",
    ),
    "a manifest that is an index": (document(INDEX), "it is an index, but came as"),
    "an index that is a manifest": (
        document(json.dumps({"schemaVersion": 2, "layers": []}).encode(), manifest.INDEX),
        "manifests",
    ),
    "a manifest and an index at once": (fields(manifests=[]), "at once"),
    "an index of an index": (index_of_index, "names (another index|an index of an index)"),
    "an index of nothing": (document(INDEX, manifest.INDEX), "no image for|none of the manifests"),
    "a manifest of another kind": (fields(mediaType="text/plain"), "calls itself|not an image"),
    "a manifest of schema 1": (fields(schemaVersion=1), "too old"),
    "a manifest that is not JSON": (document(b"<html>"), "malformed"),
    "a manifest that is a list": (document(b"[]"), "Expected `object`"),
    "a manifest of many levels": (
        document(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "recursion",
    ),
}
