"""Our own delivery step by step: connect, fetch, inflate, hash, write, sync, start.

`tonnage image pull` does most steps at once. Here each is done alone, after the one before it, so
that its cost can be seen; the sum is longer than a pull.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.delivery import readiness
from lab.errors import TargetFailed
from runtime.errors import ContainerError
from runtime.images import compression, manifest
from runtime.images.layer import Limits
from runtime.images.manifest import Index
from runtime.images.reference import parse
from runtime.images.registry.http import Options
from runtime.images.registry.repository import Repository
from runtime.images.snapshots import Snapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from runtime.images.manifest import Descriptor

STEPS = ("connect", "fetch", "inflate", "hash", "write", "sync", "start")


@dataclass(slots=True)
class _Clock:
    """The nanoseconds of each step."""

    spent_ns: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STEPS, 0))

    @contextmanager
    def timing(self, step: str) -> Iterator[None]:
        """Add the time of the block to a step, without what others count within it."""
        others_before = sum(self.spent_ns.values())
        begin_ns = time.monotonic_ns()
        yield
        elapsed_ns = time.monotonic_ns() - begin_ns
        self.spent_ns[step] += elapsed_ns - (sum(self.spent_ns.values()) - others_before)

    def pieces(self, step: str, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the pieces; the time to get each belongs to the step."""
        iterator = iter(pieces)
        while True:
            with self.timing(step):
                piece = next(iterator, None)
            if piece is None:
                return
            yield piece


def seconds(image: str, directory: Path, identity: str, states: Path) -> dict[str, float]:
    """Deliver an image into an empty directory, and return the seconds of each step.

    Raise TargetFailed.
    """
    clock = _Clock()
    try:
        _deliver(clock, image, directory, identity, states)
    except ContainerError as error:
        raise TargetFailed(f"{image} could not be delivered step by step: {error}") from error
    return {step: spent_ns / 1e9 for step, spent_ns in clock.spent_ns.items()}


def _deliver(clock: _Clock, image: str, directory: Path, identity: str, states: Path) -> None:
    reference = parse(image)
    repository = Repository(reference, Options())
    snapshots = Snapshots(directory / "snapshots")
    with clock.timing("connect"):
        named, document = repository.manifest(reference.version)
    chosen = manifest.decode_manifest(document, named.media_type, image)
    if isinstance(chosen, Index):
        raise TargetFailed(f"{image} has several platforms.")
    with clock.timing("fetch"):
        files = [_fetched(repository, blob, directory) for blob in (chosen.config, *chosen.layers)]
    config = manifest.decode_config(files[0].read_bytes(), chosen, image)
    chain_ids = manifest.chain_ids(config.rootfs.diff_ids)
    for depth, (layer, diff_id) in enumerate(
        zip(chosen.layers, config.rootfs.diff_ids, strict=True), start=1
    ):
        _unpack(clock, layer, diff_id, files[depth], snapshots, chain_ids[:depth])
    with clock.timing("sync"):
        for file in files:
            with file.open("rb") as content:
                os.fsync(content.fileno())
        snapshots.write()
    begin_ns = time.monotonic_ns()
    listened_ns = readiness.of_layers(snapshots.layers(chain_ids), identity, states)
    clock.spent_ns["start"] = listened_ns - begin_ns  # without the stop


def _fetched(repository: Repository, blob: Descriptor, directory: Path) -> Path:
    path = directory / blob.digest.replace(":", "-")
    with path.open("wb") as file:
        for _, piece in repository.blob(blob):
            file.write(piece)
    return path


def _unpack(
    clock: _Clock,
    layer: Descriptor,
    diff_id: str,
    file: Path,
    snapshots: Snapshots,
    chain_ids: list[str],
) -> None:
    """Hash, inflate and write one layer; both digests are checked."""
    packed, content = hashlib.sha256(), hashlib.sha256()

    def hashed(pieces: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
        for piece in pieces:
            with clock.timing("hash"):
                update(piece)
            yield piece

    with file.open("rb") as opened, clock.timing("write"):
        compressed = hashed(compression.pieces_of(opened), packed.update)
        inflated = clock.pieces(
            "inflate", compression.inflate(compressed, manifest.LAYERS[layer.media_type])
        )
        snapshots.unpack(chain_ids, hashed(inflated, content.update), Limits())
    found = (f"sha256:{packed.hexdigest()}", f"sha256:{content.hexdigest()}")
    if found != (layer.digest, diff_id):
        raise TargetFailed(f"The layer {layer.digest} came with other digests: {found}.")
