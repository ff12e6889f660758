"""New images from layers: the layer's blob, the configuration and the manifest."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from runtime.images import compression, manifest
from runtime.images.layer import Limits
from runtime.images.leases import Lease
from runtime.images.manifest import Config, Descriptor, Manifest
from runtime.images.store import Image, Store
from runtime.images.unpacking import Unpacking, raise_first


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer in the store, with the digest of its archive."""

    blob: Descriptor
    diff_id: str


def add_layer(store: Store, lease: Lease, archive: Generator[bytes, None, None]) -> NewLayer:
    """Compress an archive and add it to the store as a layer.

    Errors leave nothing, neither in the store nor open: `archive`, which reads files or a program,
    is closed.
    """
    name = f".layer-{uuid.uuid4().hex}"
    lease.add(name)  # garbage collection knows no digest of it yet
    path = store.directory / "partial" / name
    try:
        with closing(archive), path.open("w+b") as file:
            packed = compression.pack(archive, file)
            blob = Descriptor(manifest.LAYER_GZIP, packed.digest, packed.size_bytes)
            lease.add(blob.digest)
            store.layout.adopt(blob, file, path)
    finally:
        path.unlink(missing_ok=True)
    return NewLayer(blob, packed.content_digest)


def add_image(
    store: Store,
    lease: Lease,
    config: Config,
    layers: list[Descriptor],
    names: list[str],
    annotations: dict[str, str] | None = None,
) -> Image:
    """Add the configuration and the manifest of an image, and name it.

    Without a name it is named by its digest, so that garbage collection keeps it. The annotations
    are those of the manifest.
    """
    document = manifest.encode(config)
    made = Manifest(
        2,
        Descriptor(manifest.CONFIG, manifest.digest_of(document), len(document)),
        layers,
        manifest.MANIFEST,
        annotations or {},
    )
    encoded = manifest.encode(made)
    digest = manifest.digest_of(encoded)
    lease.add(made.config.digest, digest)
    store.layout.add(document)
    store.layout.add(encoded)
    descriptor = Descriptor(manifest.MANIFEST, digest, len(encoded))
    chain_ids = manifest.chain_ids(config.rootfs.diff_ids)
    for name in names or [f"<none>@{digest}"]:
        store.finish(name, descriptor, chain_ids)
    return Image(names[0] if names else "", descriptor, made, config)


def unpack(
    store: Store, layers: Sequence[Descriptor], diff_ids: Sequence[str], limits: Limits
) -> None:
    """Unpack the layers of an image whose blobs the store has, where they are not unpacked."""
    chain_ids = manifest.chain_ids(list(diff_ids))
    with store.writing(), Unpacking(store.snapshots, chain_ids, limits) as unpacking:
        for layer, diff_id in zip(layers, diff_ids, strict=True):
            unpacking.add(layer, diff_id, partial(_content, store, layer))
        raise_first(unpacking.futures)


def _content(store: Store, blob: Descriptor) -> Generator[bytes, None, None]:
    with store.layout.path(blob.digest).open("rb") as file:
        yield from compression.pieces_of(file)
