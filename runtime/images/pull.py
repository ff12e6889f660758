"""Pull an image: fetch and unpack layers in parallel, while they arrive."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import IO

from runtime.errors import InvalidConfig, Unavailable
from runtime.images import manifest
from runtime.images.layer import Limits
from runtime.images.layout import Layout
from runtime.images.leases import Lease
from runtime.images.manifest import Config, Descriptor, Index, Manifest, Platform
from runtime.images.reference import Reference
from runtime.images.registry.repository import Repository
from runtime.images.store import Image, Store, host_platform
from runtime.images.unpacking import Unpacking, raise_first

# The default of docker (max-concurrent-downloads).
_AT_ONCE = 3
_PIECE_BYTES = 1 << 18

# Called with a layer, a step (`fetch`, `unpack`, `done`) and how many bytes of it are through.
Progress = Callable[[Descriptor, str, int], None]


def no_progress(_: Descriptor, __: str, ___: int) -> None:
    """Ignore progress."""


def pull(
    store: Store,
    reference: Reference,
    repository: Repository,
    *,
    platform: Platform | None = None,
    limits: Limits | None = None,
    progress: Progress = no_progress,
) -> Image:
    """Pull an image into the store, unpack it, and give it its name.

    Blobs that the store has are not fetched again. After any error the name has the image that it
    had before. Raise NotFound, InvalidConfig for an invalid image, Unavailable.
    """
    with store.lease() as lease:
        named, document = repository.manifest(reference.version)
        lease.add(named.digest)
        descriptor, chosen = _for_platform(store, repository, lease, named, document, platform)
        lease.add(chosen.config.digest, *(layer.digest for layer in chosen.layers))
        config = _config(store.layout, repository, chosen, str(reference))
        chain_ids = manifest.chain_ids(config.rootfs.diff_ids)
        lease.add(*chain_ids)
        with store.writing():
            _fetch_and_unpack(
                store, repository, chosen, config, chain_ids, limits or Limits(), progress
            )
        store.finish(str(reference), named, chain_ids)
    return Image(str(reference), descriptor, chosen, config)


@dataclass(slots=True)
class _Fetch:
    """The state of one fetch: the number of bytes that a reader may read so far."""

    layer: Descriptor
    available_bytes: int = 0
    unwanted: bool = False
    ended: bool = False
    error: BaseException | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def check_wanted(self) -> None:
        """Raise Unavailable if the pull has failed or was interrupted."""
        if self.unwanted:
            raise Unavailable(f"The fetch of {self.layer.digest} was cancelled.")

    def advance(self, available_bytes: int) -> None:
        """Set the number of bytes in the file."""
        with self.changed:
            self.available_bytes = available_bytes
            self.changed.notify_all()

    def end(self, error: BaseException | None) -> None:
        """Mark the fetch as complete or as failed."""
        with self.changed:
            self.ended, self.error = True, error
            if error is None:
                self.available_bytes = self.layer.size
            self.changed.notify_all()

    def wait(self, at_bytes: int) -> int:
        """Wait for more than `at_bytes` bytes and return their number. Raise the fetch's error."""
        with self.changed:
            while self.available_bytes <= at_bytes and not self.ended:
                self.changed.wait()
            if self.error:
                raise self.error
            return self.available_bytes


def _for_platform(
    store: Store,
    repository: Repository,
    lease: Lease,
    named: Descriptor,
    document: bytes,
    platform: Platform | None,
) -> tuple[Descriptor, Manifest]:
    """Return the manifest for the platform. Add it to the store, and the index if there is one."""
    found = manifest.decode_manifest(document, named.media_type, repository.name)
    store.layout.add(document)
    if isinstance(found, Manifest):
        return named, found
    chosen = manifest.choose(found, platform or host_platform(), repository.name)
    lease.add(chosen.digest)
    if store.layout.has(chosen):
        document = store.layout.read(chosen.digest)
    else:
        came, document = repository.manifest(chosen.digest)
        if came.size != chosen.size:
            raise InvalidConfig(
                f"{repository.name}: the index says another size of {chosen.digest}."
            )
        store.layout.add(document)
    single = manifest.decode_manifest(document, chosen.media_type, repository.name)
    if isinstance(single, Index):
        raise InvalidConfig(f"{repository.name}: its index names another index.")
    return chosen, single


def _config(layout: Layout, repository: Repository, chosen: Manifest, name: str) -> Config:
    """Return the configuration of the image. Fetch it if the store lacks it."""
    if chosen.config.size > manifest.LARGEST_MANIFEST_BYTES:
        raise InvalidConfig(f"{name}: its configuration has {chosen.config.size} bytes.")
    if not layout.has(chosen.config):
        _fetch(layout, repository, _Fetch(chosen.config), no_progress)
    return manifest.decode_config(layout.read(chosen.config.digest), chosen, name)


def _fetch_and_unpack(
    store: Store,
    repository: Repository,
    chosen: Manifest,
    config: Config,
    chain_ids: list[str],
    limits: Limits,
    progress: Progress,
) -> None:
    """Fetch layers in threads, and unpack them as their bytes arrive."""
    fetches = {layer.digest: _Fetch(layer) for layer in chosen.layers}
    with (
        ThreadPoolExecutor(_AT_ONCE, "fetch") as threads,
        Unpacking(store.snapshots, chain_ids, limits) as unpacking,
    ):
        futures = [
            threads.submit(_fetch, store.layout, repository, each, progress)
            for each in fetches.values()
        ]
        try:
            for layer, diff_id in zip(chosen.layers, config.rootfs.diff_ids, strict=True):
                unpacking.add(
                    layer,
                    diff_id,
                    partial(_read_along, store.layout, fetches[layer.digest]),
                    partial(progress, layer, "unpack", layer.size),
                )
            raise_first((*unpacking.futures, *futures))
        finally:
            for each in fetches.values():
                each.unwanted = True
            for future in futures:
                future.cancel()


def _fetch(layout: Layout, repository: Repository, fetch: _Fetch, progress: Progress) -> None:
    """Fetch a blob, check its digest and add it to the layout."""
    try:
        with layout.partial(fetch.layer) as file:
            if file is not None:
                _receive(layout, repository, fetch, file, progress)
    except BaseException as error:
        fetch.end(error)
        raise
    fetch.end(None)


def _receive(
    layout: Layout, repository: Repository, fetch: _Fetch, file: IO[bytes], progress: Progress
) -> None:
    algorithm = fetch.layer.digest.partition(":")[0]
    digest, at_bytes = hashlib.new(algorithm), 0
    file.seek(0)
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
        at_bytes += len(piece)
    with closing(repository.blob(fetch.layer, at_bytes)) as transfer:
        for offset, received in transfer:
            fetch.check_wanted()
            if offset != at_bytes:  # the registry started over
                fetch.advance(0)
                file.truncate(0)
                digest, at_bytes = hashlib.new(algorithm), 0
            file.write(received)
            file.flush()
            digest.update(received)
            at_bytes += len(received)
            fetch.advance(at_bytes)
            progress(fetch.layer, "fetch", at_bytes)
    layout.keep_checked(fetch.layer, file, at_bytes, digest.hexdigest())


def _read_along(layout: Layout, fetch: _Fetch) -> Generator[bytes, None, None]:
    """Yield the bytes of a blob while it is fetched.

    The last bytes are yielded after the digest was checked. Raise the error of the fetch.
    """
    fetch.wait(0)
    with _opened(layout, fetch.layer) as file:
        at_bytes = 0
        while at_bytes < fetch.layer.size:
            available_bytes = fetch.wait(at_bytes)
            if available_bytes == fetch.layer.size:
                fetch.wait(available_bytes)
            while piece := file.read(min(_PIECE_BYTES, available_bytes - at_bytes)):
                fetch.check_wanted()
                at_bytes += len(piece)
                yield piece


def _opened(layout: Layout, blob: Descriptor) -> IO[bytes]:
    """Open an incomplete blob, or the complete one if it was renamed meanwhile."""
    try:
        return layout.partial_path(blob).open("rb")
    except FileNotFoundError:
        return layout.path(blob.digest).open("rb")
