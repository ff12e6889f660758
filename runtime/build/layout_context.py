"""A named context that is an image in an OCI layout: `oci-layout://DIRECTORY[:TAG|@DIGEST]`."""

from __future__ import annotations

import shutil
from pathlib import Path

from runtime.errors import InvalidConfig, NotFound
from runtime.images import assembly, manifest
from runtime.images.layer import Limits
from runtime.images.layout import NAME
from runtime.images.leases import Lease
from runtime.images.manifest import Descriptor, Index, Manifest, Platform
from runtime.images.store import Image, Store


def image(store: Store, lease: Lease, text: str, platform: Platform) -> Image:
    """Add an image of a layout to the store without a name. Raise NotFound, InvalidConfig."""
    directory, tag, digest = _parts(text)
    index = _document(directory / "index.json", "", text)
    if not isinstance(index, Index):
        raise InvalidConfig(f"{text}: index.json is not an index.")
    descriptor = _entry(index, tag, digest, text)
    found = _manifest(store, lease, directory, descriptor)
    if isinstance(found, Index):
        descriptor = manifest.choose(found, platform, text)
        found = _manifest(store, lease, directory, descriptor)
    if isinstance(found, Index):
        raise InvalidConfig(f"{text}: its index names another index.")
    for blob in (found.config, *found.layers):
        lease.add(blob.digest)
        with store.layout.partial(blob) as file:
            if file is not None:
                file.truncate(0)
                with _blob_path(directory, blob.digest).open("rb") as content:
                    shutil.copyfileobj(content, file)
                store.layout.keep(blob, file)
    config = manifest.decode_config(store.layout.read(found.config.digest), found, text)
    made = Image("", descriptor, found, config)
    lease.add(*made.chain_ids)
    assembly.unpack(store, made.manifest.layers, made.config.rootfs.diff_ids, Limits())
    return made


def _parts(text: str) -> tuple[Path, str, str]:
    """Return the directory, the tag and the digest; tag and digest may be empty."""
    rest, _, digest = text.partition("@")
    if not digest and not Path(rest).is_dir() and ":" in rest:
        path, _, tag = rest.rpartition(":")
        return Path(path), tag, ""
    return Path(rest), "", digest


def _entry(index: Index, tag: str, digest: str, text: str) -> Descriptor:
    """Return the entry with the tag or the digest, else the only one, else `latest`."""
    if digest:
        found = [each for each in index.manifests if each.digest == digest]
    elif tag or len(index.manifests) != 1:
        wanted = tag or "latest"
        names = [(each.annotations.get(NAME, ""), each) for each in index.manifests]
        found = [each for name, each in names if name == wanted or name.endswith(f":{wanted}")]
    else:
        found = list(index.manifests)
    if not found:
        raise NotFound(f"{text}: the layout has no such image.")
    return found[0]


def _manifest(store: Store, lease: Lease, directory: Path, blob: Descriptor) -> Manifest | Index:
    path = _blob_path(directory, blob.digest)
    found = _document(path, blob.media_type, blob.digest)
    document = path.read_bytes()
    if manifest.digest_of(document) != blob.digest:
        raise InvalidConfig(f"{path} has another digest than its name.")
    lease.add(blob.digest)
    store.layout.add(document)
    return found


def _document(path: Path, media_type: str, name: str) -> Manifest | Index:
    try:
        with path.open("rb") as file:
            document = file.read(manifest.LARGEST_MANIFEST_BYTES + 1)
    except OSError as error:
        raise NotFound(f"{name}: {path} can't be read: {error.strerror}.") from None
    return manifest.decode_manifest(document, media_type, name)


def _blob_path(directory: Path, digest: str) -> Path:
    algorithm, _, digits = digest.partition(":")
    return directory / "blobs" / algorithm / digits
