"""The user land of an image: the same bytes as layers of a container and as a machine's disk.

In a container the payload is bound below /.tonnage, in a machine it is in the initramfs. It starts
the image's command, runs its health check, and answers for the instance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig
from lab.paths import PAYLOAD_IN_IMAGE
from lab.userland import application as applications
from lab.userland.build import Userland
from lab.userland.cache_entry import cache_entry, digest
from lab.userland.image_disk import build_image_disk
from lab.userland.image_source import as_lab_errors
from lab.userland.machine_disk import build_shipped_disk
from runtime.images import archives
from runtime.rootfs.root import check_layers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.userland.application import Application
    from runtime.images.store import Image, Store

_DIGITS = 12
# The options of mount(2) have room for one page, and the paths of the upper directory follow.
_LONGEST_LAYERS = 3500


@dataclass(frozen=True, slots=True)
class ImageLand(Userland):
    """The user land of an image; `tree` and `image` are those of the common one, for peers."""

    measured: Application
    unpacked: tuple[Path, ...]
    blobs: tuple[Path, ...]
    archived: Path

    @property
    def application(self) -> Application | None:
        """The image's application."""
        return self.measured

    @property
    def layers(self) -> tuple[Path, ...]:
        """The unpacked layers of the image, topmost first."""
        return self.unpacked

    @property
    def packed_layers(self) -> tuple[Path, ...]:
        """The layers as they were pulled, the base first."""
        return self.blobs

    @property
    def archive(self) -> Path | None:
        """The archive of the image, which `docker load` and `podman load` read."""
        return self.archived

    @property
    def archived_name(self) -> str:
        """The name of the image in that archive."""
        return _archived_name(self.measured.digest)

    def serve_words(self, name: str) -> list[str]:
        """Return the command of a container's first process: the payload, with the image's."""
        return [PAYLOAD_IN_IMAGE, "serve", name, *self.measured.start_words()]

    def with_application(self, application: Application) -> ImageLand:
        """Return the user land with another description of the application."""
        return replace(self, measured=application)


def build_image_land(
    basic: Userland,
    store: Store,
    image: Image,
    reference: str,
    ready_seconds: float,
    progress: Callable[[str], None],
) -> ImageLand:
    """Build the parts of an image's user land that are not in the cache.

    `basic` gives payload, kernel and initramfs. Raises LabError, MachineError.
    """
    with as_lab_errors(reference):
        layers = tuple(store.snapshots.layers(image.chain_ids))
        check_layers([str(each) for each in layers])
        application = applications.of_image(image, layers, reference, ready_seconds)
    if sum(len(str(each)) + 1 for each in layers) > _LONGEST_LAYERS:
        raise InvalidConfig(
            f"{reference} has {len(layers)} layers, more than one mount takes: build it with fewer."
        )
    disk = build_image_disk(layers, application, progress)
    with as_lab_errors(reference):
        archived = _archive(store, image, progress)
    return ImageLand(
        payload=basic.payload,
        tree=basic.tree,
        image=basic.image,
        disk=disk,
        shipped_disk=build_shipped_disk(disk, progress),
        kernel=basic.kernel,
        initramfs=basic.initramfs,
        measured=application,
        unpacked=layers,
        blobs=tuple(store.layout.path(each.digest) for each in image.manifest.layers),
        archived=archived,
    )


def _archived_name(image_digest: str) -> str:
    """Return the name of an image in its archive; no image of an engine's user has it."""
    return f"localhost/tonnage-measured:{image_digest.partition(':')[2][:_DIGITS]}"


def _archive(store: Store, image: Image, progress: Callable[[str], None]) -> Path:
    """Return the archive of an image for engines."""
    with cache_entry("image-archive", digest(image.descriptor.digest)) as (directory, staging):
        if staging:
            progress("writing the image's archive")
            name = _archived_name(image.descriptor.digest)
            store.layout.tag(name, image.descriptor)
            try:
                with (staging / "image.tar").open("wb") as file:
                    archives.save(store, [name], file)
            finally:
                store.layout.untag(name)
    return directory / "image.tar"
