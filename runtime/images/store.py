"""The image store: an OCI layout, the snapshots of its layers, and leases on both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from runtime.errors import InvalidConfig, NotFound
from runtime.images import manifest
from runtime.images.layer_cache import Cache
from runtime.images.layout import Layout
from runtime.images.leases import Lease, Leases
from runtime.images.manifest import Config, Descriptor, Index, Manifest, Platform
from runtime.images.snapshots import Snapshots, no_note
from runtime.linux import users

Durability = Literal["safe", "fast"]

# Go's names of architectures, by uname(2)'s.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_VARIANTS = {"arm64": "v8", "arm": "v7"}


@dataclass(frozen=True, slots=True)
class Image:
    """One image for one platform; `id` is the digest of its configuration."""

    name: str
    descriptor: Descriptor
    manifest: Manifest
    config: Config

    @property
    def id(self) -> str:
        """The digest of the configuration, by which docker knows an image."""
        return self.manifest.config.digest

    @property
    def chain_ids(self) -> list[str]:
        """The chain IDs of the layers, the base first."""
        return manifest.chain_ids(self.config.rootfs.diff_ids)


@dataclass(frozen=True, slots=True)
class Collected:
    """The outcome of a garbage collection."""

    blobs: int
    snapshots: int
    size_bytes: int


class Store:
    """The images in `directory`, which is created if it is missing.

    With `safe` durability a named image survives a loss of power: each blob is synced, and all
    snapshots once before an image gets its name. With `fast` nothing is synced. For `squash` and
    `note` see Snapshots.
    """

    def __init__(
        self,
        directory: Path,
        durability: Durability = "safe",
        *,
        squash: bool = False,
        note: Callable[[str], None] = no_note,
    ) -> None:
        self.directory = directory
        self.durability = durability
        self.layout = Layout(directory, synced=durability == "safe")
        self.snapshots = Snapshots(directory / "snapshots", squash=squash, note=note)
        self._leases = Leases(directory / "leases")

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Yield a lease for digests that will be added or used."""
        with self._leases.lease() as lease:
            yield lease

    def image(self, name: str, platform: Platform | None = None) -> Image:
        """Return the image of a name, for a platform if it has several.

        Raise NotFound, InvalidConfig, CorruptState.
        """
        descriptor = self.layout.find(name)
        found = self._manifest(descriptor, name)
        if isinstance(found, Index):
            descriptor = manifest.choose(found, platform or host_platform(), name)
            found = self._manifest(descriptor, name)
        if isinstance(found, Index):
            raise InvalidConfig(f"{name}: its index names another index.")
        config = manifest.decode_config(self.layout.read(found.config.digest), found, name)
        return Image(name, descriptor, found, config)

    def images(self) -> list[Image]:
        """Return every named image, for this host's platform."""
        return [self.image(name) for name, _ in self.layout.images()]

    def layers(self, image: Image) -> list[Path]:
        """Return the directories of an image's layers, topmost first.

        Lease the chain IDs before. Raise NotFound if a layer is not unpacked.
        """
        if not all(self.snapshots.has(each) for each in image.chain_ids):
            raise NotFound(f"{image.name} is not unpacked: pull or load it again.")
        return self.snapshots.layers(image.chain_ids)

    def tag(self, name: str, new_name: str) -> None:
        """Add another name to an image. Raise NotFound."""
        self.layout.tag(new_name, self.layout.find(name))

    def writing(self) -> AbstractContextManager[None]:
        """Return a context for unpacking layers: what `finish` has to sync is written meanwhile."""
        return self.snapshots.written_meanwhile() if self.durability == "safe" else nullcontext()

    def finish(self, name: str, descriptor: Descriptor, chain_ids: Sequence[str]) -> None:
        """Sync the snapshots of an image as `durability` says, and name it."""
        if self.durability == "safe":
            self.snapshots.sync(chain_ids)
        self.layout.tag(name, descriptor)

    def collect(self) -> Collected:
        """Remove blobs and snapshots that no name, no cached step and no lease refers to."""
        with self._leases.collecting() as leased:
            blobs, chains = self._reachable()
            removed = size_bytes = 0
            for digest, path in list(self.layout.blobs()):
                if digest not in blobs | leased:
                    size_bytes += path.stat().st_size
                    removed += 1
                    path.unlink()
            partial = {digest.replace(":", "-") for digest in leased}
            for path in self.layout.partials():
                if path.name not in partial:
                    size_bytes += self.layout.remove_partial(path)
            snapshots = self.snapshots.remove_all_but(chains | leased)
        return Collected(removed, snapshots, size_bytes)

    def _reachable(self) -> tuple[set[str], set[str]]:
        """Return the digests of blobs and the chain IDs that names and cached steps refer to."""
        blobs: set[str] = set()
        chains: set[str] = set()
        for step in Cache(self.directory / "build-cache").records():
            blobs.add(step.layer.digest)
            chains |= set(step.chain_ids)
        waiting = [descriptor for _, descriptor in self.layout.images()]
        while waiting:
            descriptor = waiting.pop()
            if descriptor.digest in blobs or not self.layout.has(descriptor):
                continue
            blobs.add(descriptor.digest)
            document = self._manifest(descriptor, descriptor.digest)
            if isinstance(document, Index):
                waiting += document.manifests
                continue
            blobs |= {document.config.digest, *(layer.digest for layer in document.layers)}
            if self.layout.has(document.config):
                config = self.layout.read(document.config.digest)
                decoded = manifest.decode_config(config, document, descriptor.digest)
                chains |= set(manifest.chain_ids(decoded.rootfs.diff_ids))
        return blobs, chains

    def _manifest(self, descriptor: Descriptor, name: str) -> Manifest | Index:
        document = self.layout.read(descriptor.digest)
        return manifest.decode_manifest(document, descriptor.media_type, name)


def default_directory() -> Path:
    """Return $TONNAGE_IMAGES, else the directory for root or for a user.

    Raise Unavailable for a user without a home directory.
    """
    if named := os.environ.get("TONNAGE_IMAGES"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/tonnage/images")
    data = os.environ.get("XDG_DATA_HOME") or f"{users.own_home()}/.local/share"
    return Path(data) / "tonnage/images"


def host_platform() -> Platform:
    """Return the platform of this host."""
    machine = os.uname().machine
    architecture = _ARCHITECTURES.get(machine, machine)
    return Platform(architecture, "linux", _VARIANTS.get(architecture, ""))


def parse_platform(text: str) -> Platform:
    """Return the platform of `OS/ARCHITECTURE[/VARIANT]`. Raise InvalidConfig."""
    parts = text.split("/")
    if not 2 <= len(parts) <= 3 or not all(parts):
        raise InvalidConfig(f"{text!r} is not a platform such as linux/amd64 or linux/arm/v7.")
    system, architecture, *variant = parts
    return Platform(architecture, system, variant[0] if variant else "")
