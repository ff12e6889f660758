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
import shutil
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from runtime.errors import InvalidConfig
from runtime.images import assembly, compression, manifest
from runtime.images.archive_members import Members
from runtime.images.layer import Limits
from runtime.images.layout import NAME
from runtime.images.leases import Lease
from runtime.images.manifest import Config, Descriptor, Index, Manifest
from runtime.images.reference import parse
from runtime.images.store import Image, Store, host_platform

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
    Raise InvalidConfig for a file that is not an archive of images, or that holds more than
    `limits` allow.
    """
    chosen = limits or Limits()
    with store.lease() as lease, _unpacked(store, lease, file, chosen) as members:
        return _Loading(store, members, lease, chosen).images()


@contextmanager
def _unpacked(store: Store, lease: Lease, file: IO[bytes], limits: Limits) -> Iterator[Members]:
    """Yield the files of an archive, which are removed at the end."""
    name = f".load-{uuid.uuid4().hex}"
    lease.add(name)
    scratch = store.directory / "partial" / name
    scratch.mkdir()
    try:
        yield Members(scratch, compression.decompressed(file), limits)
    finally:
        shutil.rmtree(scratch)


class _Loading:
    """The images of one archive, while they are added to the store."""

    def __init__(self, store: Store, members: Members, lease: Lease, limits: Limits) -> None:
        self._store = store
        self._members = members
        self._lease = lease
        self._limits = limits

    def images(self) -> list[Image]:
        """Add all images of the archive, by its index if it has one, else by docker's list.

        They are named once all of them are complete.
        """
        images = list(self._images())
        for image in images:
            self._store.finish(image.name, image.descriptor, image.chain_ids)
        return images

    def _images(self) -> Iterator[Image]:
        if "index.json" in self._members:
            document = self._members.document("index.json")
            index = manifest.decode_manifest(document, manifest.INDEX, "index.json")
            if not isinstance(index, Index):
                raise InvalidConfig("index.json is not an index.")
            for named in index.manifests:
                yield self._oci(named)
        elif "manifest.json" in self._members:
            for entry in self._json("manifest.json"):
                yield from self._docker(entry)
        else:
            raise InvalidConfig("The archive has neither index.json nor manifest.json.")

    def _oci(self, named: Descriptor) -> Image:
        found = self._manifest(named)
        descriptor = named
        if isinstance(found, Index):
            present = [each for each in found.manifests if _blob_name(each.digest) in self._members]
            if not present:
                raise InvalidConfig("The archive has none of the manifests of its index.")
            descriptor = _for_host(present)
            found = self._manifest(descriptor)
        if isinstance(found, Index):
            raise InvalidConfig("The archive's index names an index of an index.")
        if found.config.size > manifest.LARGEST_MANIFEST_BYTES:
            raise InvalidConfig(f"The archive has a configuration of {found.config.size} bytes.")
        for blob in (found.config, *found.layers):
            self._lease.add(blob.digest)
            self._add_blob(blob, _blob_name(blob.digest))
        document = self._store.layout.read(found.config.digest)
        config = manifest.decode_config(document, found, named.digest)
        name = (
            named.annotations.get("io.containerd.image.name") or named.annotations.get(NAME) or ""
        )
        return self._unpack(name, descriptor, found, config)

    def _docker(self, entry: dict[str, Any]) -> Iterator[Image]:
        """Add an image of docker's older archives, whose layers are plain tar archives."""
        try:
            document = self._members.document(str(entry["Config"]))
            layers = [self._layer(str(name)) for name in entry["Layers"]]
            names = [str(name) for name in entry.get("RepoTags") or [""]]
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
            yield self._unpack(name, descriptor, chosen, config)

    def _unpack(self, name: str, descriptor: Descriptor, chosen: Manifest, config: Config) -> Image:
        """Unpack the layers of an image, which has no name in the store yet."""
        reference = str(parse(name)) if name else f"<none>@{descriptor.digest}"
        image = Image(reference, descriptor, chosen, config)
        self._lease.add(*image.chain_ids)
        assembly.unpack(self._store, chosen.layers, config.rootfs.diff_ids, self._limits)
        return image

    def _layer(self, name: str) -> Descriptor:
        """Add a layer of docker's archive; return its descriptor."""
        with self._members.path(name).open("rb") as content:
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
            with self._members.path(name).open("rb") as content:
                shutil.copyfileobj(content, file, _PIECE_BYTES)
            self._store.layout.keep(blob, file)

    def _manifest(self, descriptor: Descriptor) -> Manifest | Index:
        document = self._members.document(_blob_name(descriptor.digest))
        if manifest.digest_of(document) != descriptor.digest:
            raise InvalidConfig(f"The archive's {descriptor.digest} has another digest.")
        self._lease.add(descriptor.digest)
        self._store.layout.add(document)
        return manifest.decode_manifest(document, descriptor.media_type, descriptor.digest)

    def _json(self, name: str) -> list[dict[str, Any]]:
        try:
            document = json.loads(self._members.document(name))
        except (ValueError, RecursionError) as error:
            raise InvalidConfig(f"The archive's {name} is not JSON: {error}.") from None
        if not isinstance(document, list) or not all(isinstance(each, dict) for each in document):
            raise InvalidConfig(f"The archive's {name} is not a list of images.")
        return document


def _for_host(present: list[Descriptor]) -> Descriptor:
    """Return the manifest for this host's platform, else the first one."""
    try:
        return manifest.choose(Index(2, present, manifest.INDEX), host_platform(), "The archive")
    except InvalidConfig:
        return present[0]


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
