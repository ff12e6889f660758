"""The tools that are compared, each with private storage (lab.delivery.tools)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lab.delivery import tools as delivery
from lab.delivery.tools import Tool
from lab.host import mount_namespace
from lab.targets import leftovers, private_directories
from lab.targets.containers.oci import hide_unified_hierarchy

OURS, OURS_UNSYNCED = delivery.Ours.name, "tonnage fast"
PODMAN, DOCKER, SKOPEO = delivery.Podman.name, delivery.Docker.name, delivery.Skopeo.name
_FAMILY = "tonnage-benchmark"


@contextmanager
def tools(directory: Path) -> Iterator[dict[str, Tool]]:
    """Yield the tools that are installed, in a private mount namespace."""
    with ExitStack() as stack:
        mount_namespace.enter_private_mount_namespace()
        private_directories.cover(stack, directory, delivery.FIXED)
        hide_unified_hierarchy()
        stack.callback(leftovers.remove_cgroups, _FAMILY)
        found: dict[str, Tool] = {
            OURS: delivery.Ours(directory / "ours", _FAMILY),
            OURS_UNSYNCED: delivery.Ours(directory / "unsynced", _FAMILY, "fast"),
        }
        for name in (PODMAN, DOCKER, SKOPEO):
            if not delivery.absent(name):
                opened = delivery.opened(name, directory / name, _FAMILY)
                found[name] = stack.enter_context(opened)
        yield found
