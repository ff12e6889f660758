"""Images as files: docker's archives and OCI's, written and read.

Both are tar archives. An OCI archive is a layout; a docker archive has `manifest.json` beside
configurations and layers. Archives written here are both at once, as docker's are since version 25:
`docker load`, `podman load`, skopeo and umoci read them. (docker, "image spec v1.2"; OCI
image-layout.md)
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from runtime.errors import InvalidConfig
from runtime.images import compression, manifest
from runtime.images.layer import Limits
from runtime.images.layout import NAME
from runtime.images.leases import Lease
from runtime.images.manifest import Config, Descriptor, Index, Manifest
from runtime.images.reference import parse
from runtime.images.store import Image, Store
from runtime.images.unpacking import Unpacking, raise_first

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_PIECE_BYTES = 1 << 20


def save(store: Store, names: Sequence[str], file: IO[bytes]) -> None:
    """Write images into one archive, the same bytes for the same images.

    Raise NotFound, InvalidConfig.
    """
    with store.lease() as lease, tarfile.open(fileobj=file, mode="w|") as archive:
        images = [store.image(name) for name in names]
        blobs: dict[str, None] = {}
        for image in images:
            parts = (image.descriptor, image.manifest.config, *image.manifest.layers)
            blobs.update(dict.fromkeys(part.digest for part in parts))
        lease.add(*blobs)
        for digest in sorted(blobs):
            with store.layout.path(digest).open("rb") as blob:
                size_bytes = store.layout.path(digest).stat().st_size
                archive.addfile(_member(_blob_name(digest), size_bytes), blob)
        entries = [_entry(image) for image in images]
        _add(archive, "index.json", manifest.encode(Index(2, entries, manifest.INDEX)))
        _add(
            archive, "manifest.json", json.dumps([_docker_entry(each) for each in images]).encode()
        )
        _add(archive, "oci-layout", _LAYOUT)


def load(store: Store, file: IO[bytes], limits: Limits | None = None) -> list[Image]:
    """Add the images of an archive of either kind to the store; return them.

    The archive may be compressed by gzip or zstd. On any error the store keeps its images.
    Raise InvalidConfig for a file that is not an archive of images.
    """
    import tempfile

    with (
        store.lease() as lease,
        tempfile.TemporaryDirectory(dir=store.directory / "partial", prefix=".load-") as scratch,
    ):
        plain = Path(scratch) / "archive"
        with plain.open("wb") as copy:
            copy.writelines(compression.decompressed(file))
        try:
            with tarfile.open(plain, "r:") as archive:
                return _Loading(store, archive, lease, limits or Limits()).images()
        except tarfile.TarError as error:
            raise InvalidConfig(f"The file is not an archive of images: {error}.") from None


class _Loading:
    """The images of one archive, while they are added to the store."""

    def __init__(
        self, store: Store, archive: tarfile.TarFile, lease: Lease, limits: Limits
    ) -> None:
        self._store = store
        self._archive = archive
        self._lease = lease
        self._limits = limits

    def images(self) -> list[Image]:
        """Add all images of the archive, by its index if it has one, else by docker's list."""
        names = self._archive.getnames()
        if "index.json" in names:
            index = manifest.decode_manifest(
                self._document("index.json"), manifest.INDEX, "index.json"
            )
            if not isinstance(index, Index):
                raise InvalidConfig("index.json is not an index.")
            return [image for each in index.manifests for image in self._oci(each)]
        if "manifest.json" in names:
            entries = self._json("manifest.json")
            return [image for each in entries for image in self._docker(each)]
        raise InvalidConfig("The archive has neither index.json nor manifest.json.")

    def _oci(self, named: Descriptor) -> Iterator[Image]:
        found = self._manifest(named)
        descriptor = named
        if isinstance(found, Index):
            present = [each for each in found.manifests if self._has(each.digest)]
            if not present:
                raise InvalidConfig("The archive has none of the manifests of its index.")
            descriptor = present[0]
            found = self._manifest(descriptor)
        if isinstance(found, Index):
            raise InvalidConfig("The archive's index names an index of an index.")
        for blob in (found.config, *found.layers):
            self._lease.add(blob.digest)
            self._add_blob(blob, _blob_name(blob.digest))
        document = self._store.layout.read(found.config.digest)
        config = manifest.decode_config(document, found, named.digest)
        name = (
            named.annotations.get("io.containerd.image.name") or named.annotations.get(NAME) or ""
        )
        yield self._finish(name, descriptor, found, config)

    def _docker(self, entry: dict[str, Any]) -> Iterator[Image]:
        """Add an image of docker's older archives, whose layers are plain tar archives."""
        try:
            document = self._document(entry["Config"])
            layers = [self._layer(name) for name in entry["Layers"]]
            names = entry.get("RepoTags") or [""]
        except (KeyError, TypeError):
            raise InvalidConfig("manifest.json has an entry without Config or Layers.") from None
        self._lease.add(manifest.digest_of(document))
        digest = self._store.layout.add(document)
        chosen = Manifest(
            2, Descriptor(manifest.CONFIG, digest, len(document)), layers, manifest.MANIFEST
        )
        config = manifest.decode_config(document, chosen, str(entry["Config"]))
        encoded = manifest.encode(chosen)
        self._lease.add(manifest.digest_of(encoded))
        digest = self._store.layout.add(encoded)
        descriptor = Descriptor(manifest.MANIFEST, digest, len(encoded))
        for name in names:
            yield self._finish(name, descriptor, chosen, config)

    def _finish(self, name: str, descriptor: Descriptor, chosen: Manifest, config: Config) -> Image:
        """Unpack an image's layers, and give it its name if it has one."""
        reference = str(parse(name)) if name else f"<none>@{descriptor.digest}"
        image = Image(reference, descriptor, chosen, config)
        self._lease.add(*image.chain_ids)
        unpack(self._store, image, self._limits)
        self._store.finish(reference, descriptor)
        return image

    def _layer(self, name: str) -> Descriptor:
        """Add a layer of docker's archive; return its descriptor."""
        with self._open(name) as content:
            digest, size_bytes, head = hashlib.sha256(), 0, b""
            while piece := content.read(_PIECE_BYTES):
                head = head or piece[:4]
                digest.update(piece)
                size_bytes += len(piece)
        kinds = {
            "gzip": manifest.LAYER_GZIP,
            "zstd": manifest.LAYER_ZSTD,
            "tar": manifest.LAYER_TAR,
        }
        media_type = kinds[compression.compression_of(head)]
        blob = Descriptor(media_type, f"sha256:{digest.hexdigest()}", size_bytes)
        self._lease.add(blob.digest)
        self._add_blob(blob, name)
        return blob

    def _add_blob(self, blob: Descriptor, name: str) -> None:
        with self._store.layout.partial(blob) as file:
            if file is None:
                return
            file.truncate(0)
            with self._open(name) as content:
                while piece := content.read(_PIECE_BYTES):
                    file.write(piece)
            self._store.layout.keep(blob, file)

    def _manifest(self, descriptor: Descriptor) -> Manifest | Index:
        document = self._document(_blob_name(descriptor.digest))
        if manifest.digest_of(document) != descriptor.digest:
            raise InvalidConfig(f"The archive's {descriptor.digest} has another digest.")
        self._lease.add(descriptor.digest)
        self._store.layout.add(document)
        return manifest.decode_manifest(document, descriptor.media_type, descriptor.digest)

    def _has(self, digest: str) -> bool:
        return _blob_name(digest) in self._archive.getnames()

    def _open(self, name: str) -> IO[bytes]:
        """Open a file of the archive; a link leads to another file of it, as docker writes them."""
        try:
            content = self._archive.extractfile(name)
        except KeyError:
            content = None
        if content is None:
            raise InvalidConfig(f"The archive has no file {name}.")
        return content

    def _document(self, name: str) -> bytes:
        with self._open(name) as content:
            document = content.read(manifest.LARGEST_MANIFEST_BYTES + 1)
        if len(document) > manifest.LARGEST_MANIFEST_BYTES:
            raise InvalidConfig(f"The archive's {name} is larger than any manifest.")
        return document

    def _json(self, name: str) -> list[dict[str, Any]]:
        try:
            document = json.loads(self._document(name))
        except ValueError as error:
            raise InvalidConfig(f"The archive's {name} is not JSON: {error}.") from None
        if not isinstance(document, list) or not all(isinstance(each, dict) for each in document):
            raise InvalidConfig(f"The archive's {name} is not a list of images.")
        return document


def unpack(store: Store, image: Image, limits: Limits) -> None:
    """Unpack the layers of an image whose blobs the store has, where they are not unpacked."""
    with store.writing(), Unpacking(store.snapshots, image.chain_ids, limits) as unpacking:
        for layer, diff_id in zip(image.manifest.layers, image.config.rootfs.diff_ids, strict=True):
            unpacking.add(layer, diff_id, partial(_content, store, layer))
        raise_first(unpacking.futures)


def _content(store: Store, blob: Descriptor) -> Iterator[bytes]:
    with store.layout.path(blob.digest).open("rb") as file:
        yield from compression.pieces_of(file)


def _entry(image: Image) -> Descriptor:
    descriptor = image.descriptor
    return Descriptor(
        descriptor.media_type, descriptor.digest, descriptor.size, None, {NAME: image.name}
    )


def _docker_entry(image: Image) -> dict[str, Any]:
    return {
        "Config": _blob_name(image.id),
        "RepoTags": [parse(image.name).familiar],
        "Layers": [_blob_name(layer.digest) for layer in image.manifest.layers],
    }


def _blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _member(name: str, size_bytes: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size_bytes
    return member


def _add(archive: tarfile.TarFile, name: str, document: bytes) -> None:
    archive.addfile(_member(name, len(document)), io.BytesIO(document))
