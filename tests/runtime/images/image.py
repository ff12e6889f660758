"""Images for tests, as archives that `load` reads."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any

from runtime.images import manifest
from runtime.images.manifest import Descriptor
from tests.runtime.images.archive import archive, member


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def descriptor(media_type: str, content: bytes, **more: Any) -> Descriptor:
    return Descriptor(media_type, digest_of(content), len(content), **more)


def blobs_of(
    layers: list[bytes], *, config: dict[str, Any] | None = None, architecture: str = "amd64"
) -> tuple[Descriptor, dict[str, bytes]]:
    """Return the manifest of an image of these tar archives, and all blobs by their digests."""
    packed = [gzip.compress(layer, mtime=0) for layer in layers]
    document = {
        "architecture": architecture, "os": "linux", "created": "2026-01-02T03:04:05Z",
        "config": config or {"Env": ["A=b"], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        "history": [{"created_by": f"step {n}"} for n, _ in enumerate(layers)],
    }  # fmt: skip
    encoded = json.dumps(document).encode()
    whole = manifest.encode(
        manifest.Manifest(
            2,
            descriptor(manifest.CONFIG, encoded),
            [descriptor(manifest.LAYER_GZIP, layer) for layer in packed],
            manifest.MANIFEST,
        )
    )
    blobs = {digest_of(content): content for content in (*packed, encoded, whole)}
    return descriptor(manifest.MANIFEST, whole), blobs


def oci_archive(name: str, found: Descriptor, blobs: dict[str, bytes]) -> bytes:
    """Return an OCI archive with one image."""
    entry = Descriptor(
        found.media_type,
        found.digest,
        found.size,
        None,
        {"org.opencontainers.image.ref.name": name},
    )
    index = manifest.encode(manifest.Index(2, [entry], manifest.INDEX))
    return archive(
        member("oci-layout", content=b'{"imageLayoutVersion":"1.0.0"}'),
        member("index.json", content=index),
        *(
            member(f"blobs/{digest.replace(':', '/')}", content=each)
            for digest, each in blobs.items()
        ),
    )


def docker_archive(names: list[str], layers: list[bytes]) -> bytes:
    """Return an archive as docker wrote them before 25."""
    _, blobs = blobs_of(layers)
    config = next(each for each in blobs.values() if b"diff_ids" in each)
    entry = {
        "Config": "config.json", "RepoTags": names,
        "Layers": [f"{n}/layer.tar" for n, _ in enumerate(layers)],
    }  # fmt: skip
    return archive(
        member("config.json", content=config),
        member("manifest.json", content=json.dumps([entry]).encode()),
        *(member(f"{n}/layer.tar", content=layer) for n, layer in enumerate(layers)),
    )
