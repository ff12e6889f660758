"""Remove what a container leaves: its cgroup, its directory, and mounts on the host."""

from __future__ import annotations

from runtime import cgroups
from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.container.state import StateDirectory


def remove_directory(directory: StateDirectory) -> None:
    """Remove a container's directory, and unmount its root if the host shares it.

    Raise ContainerError.
    """
    record = directory.mounted()
    if record is not None:
        from runtime.container import shared_rootfs

        shared_rootfs.unmount(record)
    directory.remove()


def remove_incomplete(directory: StateDirectory) -> list[str]:
    """Remove a container whose creation was interrupted; return a line for each step."""
    try:
        location = directory.configuration().linux.cgroups_path
    except ContainerError:
        location = ""
    cgroup = cgroups.at(location, directory.identifier)
    cgroup.kill()
    cgroup.remove()
    remove_directory(directory)
    return [f"removed container {directory.identifier}, whose creation was interrupted"]
