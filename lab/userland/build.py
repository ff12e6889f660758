"""One user land in every form that the targets use: tree, container image, machine's disk.

A Debian minbase root file system is built once and wrapped in three ways, so that a comparison
measures the wrapping and not the contents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.paths import PAYLOAD_IN_TREE
from lab.userland.container_image import build_image
from lab.userland.guest_kernel import probe_machine
from lab.userland.machine_disk import build_disk, build_shipped_disk
from lab.userland.payload import build_payload
from lab.userland.root_tree import build_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from lab.userland.application import Application


@dataclass(frozen=True, slots=True)
class Userland:
    """Paths of the parts, which are read-only to their users."""

    payload: Path
    tree: Path
    image: Path
    disk: Path
    shipped_disk: Path
    kernel: Path
    initramfs: Path

    @property
    def application(self) -> Application | None:
        """The image's application; None in the common user land, which has the payload alone."""
        return None

    @property
    def layers(self) -> tuple[Path, ...]:
        """The directories of the root file system, topmost first, as containers mount them."""
        return (self.tree,)

    @property
    def packed_layers(self) -> tuple[Path, ...]:
        """The layers as they are shipped."""
        return (self.image,)

    @property
    def archive(self) -> Path | None:
        """The archive of an image that engines load; None if they import the packed layer."""
        return None

    @property
    def archived_name(self) -> str:
        """The name of the image in that archive."""
        return ""

    def serve_words(self, name: str) -> list[str]:
        """Return the command of a container's first process, the payload."""
        return [PAYLOAD_IN_TREE, "serve", name]


def build(progress: Callable[[str], None], packages: Iterable[str] = ()) -> Userland:
    """Build the parts that are not in the cache and return the paths of all.

    With packages beyond the basic ones, the result is another user land beside the basic one.
    `progress` receives a line before each step that takes time. Raises LabError, MachineError.
    """
    tree = build_tree(progress, packages)
    kernel, initramfs = probe_machine(progress)
    disk = build_disk(tree, progress)
    return Userland(
        payload=build_payload(progress),
        tree=tree,
        image=build_image(tree, progress),
        disk=disk,
        shipped_disk=build_shipped_disk(disk, progress),
        kernel=kernel,
        initramfs=initramfs,
    )
