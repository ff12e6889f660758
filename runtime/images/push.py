"""Push an image: the blobs that the registry lacks, then the manifest."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.errors import NotFound
from runtime.images import manifest
from runtime.images.manifest import Descriptor, Index
from runtime.images.pull import Progress, no_progress
from runtime.images.reference import Reference
from runtime.images.registry.repository import Repository
from runtime.images.store import Store


@dataclass(frozen=True, slots=True)
class _Sending:
    """The options of an upload."""

    mount_from: str | None
    chunk_bytes: int


def push(
    store: Store,
    name: str,
    reference: Reference,
    repository: Repository,
    *,
    mount_from: str | None = None,
    chunk_bytes: int = 0,
    progress: Progress = no_progress,
) -> Descriptor:
    """Push the image of a name as `reference`. Return its descriptor.

    The pushed blobs are the bytes that were pulled or built, so the digests stay the same. An index
    is pushed if the store has all of its manifests, else only the manifest for this host.
    `mount_from` is the path of a repository of the same registry that may have the blobs. With
    `chunk_bytes` blobs are sent in chunks of that size. Raise NotFound, Unavailable.
    """
    sending = _Sending(mount_from, chunk_bytes)
    with store.lease() as lease:
        descriptor = store.layout.find(name)
        lease.add(descriptor.digest)
        document = store.layout.read(descriptor.digest)
        found = manifest.decode_manifest(document, descriptor.media_type, name)
        if isinstance(found, Index):
            if not all(store.layout.has(each) for each in found.manifests):
                descriptor = store.image(name).descriptor
                document = store.layout.read(descriptor.digest)
                found = manifest.decode_manifest(document, descriptor.media_type, name)
            else:
                for each in found.manifests:
                    _push_manifest(store, repository, each, each.digest, sending, progress)
        if not isinstance(found, Index):
            _push_blobs(store, repository, descriptor, name, sending, progress)
        repository.put_manifest(reference.version, descriptor, document)
    return descriptor


def _push_manifest(
    store: Store,
    repository: Repository,
    descriptor: Descriptor,
    version: str,
    sending: _Sending,
    progress: Progress,
) -> None:
    _push_blobs(store, repository, descriptor, version, sending, progress)
    repository.put_manifest(version, descriptor, store.layout.read(descriptor.digest))


def _push_blobs(
    store: Store,
    repository: Repository,
    descriptor: Descriptor,
    name: str,
    sending: _Sending,
    progress: Progress,
) -> None:
    """Upload the blobs of a manifest that the repository does not have."""
    document = store.layout.read(descriptor.digest)
    found = manifest.decode_manifest(document, descriptor.media_type, name)
    if isinstance(found, Index):
        raise NotFound(f"{name}: its index names another index, which is not pushed.")
    for blob in (*found.layers, found.config):
        if not repository.has_blob(blob):
            with store.layout.path(blob.digest).open("rb") as file:
                repository.upload(blob, file, sending.mount_from, sending.chunk_bytes)
        progress(blob, "push", blob.size)
