"""The cgroup hierarchies of a host: where they are mounted, and which controllers each has."""

from __future__ import annotations

import os

from runtime.cgroups import files
from runtime.errors import ContainerError, InvalidConfig
from runtime.lazy import remembered

ROOT = "/sys/fs/cgroup"
# An annotation that lists controllers of version 1, separated by commas, for which a container
# gets no cgroup of its own. The kernel's cost of a memory cgroup grows with their number.
WITHOUT = "io.github.tonnage.cgroup.without"
# Mount options of version 1 that are not controllers.
_FLAGS = {"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods"}


class Host:
    """The mounts of a host: `hierarchies` of version 1, by controllers, and `unified` of version 2.

    On a host with version 2 alone `hierarchies` is empty. A hybrid host has both: there version 2
    has the controllers that version 1 does not use.
    """

    def __init__(self, hierarchies: dict[str, str], unified: str | None) -> None:
        self.hierarchies = hierarchies
        self.unified = unified

    @classmethod
    def mounted(cls, root: str = ROOT, table: str = "/proc/self/mountinfo") -> Host:
        """Read the mounts at `root` and directly below it. (proc_pid_mountinfo(5))"""
        hierarchies: dict[str, str] = {}
        unified = None
        for line in files.read(table).splitlines():
            mount, _, system = line.partition(" - ")
            mount_point = mount.split()[4]
            kind, _, options = system.split()[:3]
            if f"{root}/".startswith(f"{mount_point.rstrip('/')}/"):
                hierarchies, unified = {}, None  # this mount hides the earlier ones below it
            if kind == "cgroup2" and mount_point in {root, f"{root}/unified"}:
                unified = mount_point
            elif kind == "cgroup" and os.path.dirname(mount_point) == root:
                hierarchies[_controllers(options)] = mount_point
        return cls(hierarchies, unified)

    @property
    def is_v2(self) -> bool:
        """Return True if version 2 has all controllers, False on a hybrid or version 1 host."""
        return self.unified is not None and not self.hierarchies

    def every_hierarchy(self) -> dict[str, str]:
        """Return the root of each hierarchy by its controllers; version 2 has an empty key."""
        return {**self.hierarchies, **({} if self.unified is None else {"": self.unified})}

    def cgroups_of(self, pid: int) -> dict[str, str]:
        """Return the cgroup directories that a process is in. Raise ContainerError if it is gone.

        (cgroups(7), "/proc/pid/cgroup")
        """
        roots = self.every_hierarchy()
        try:
            lines = files.read(f"/proc/{pid}/cgroup").splitlines()
        except OSError as error:
            raise ContainerError(
                f"Can't read the cgroup of process {pid}: {error.strerror}."
            ) from error
        paths = {}
        for line in lines:
            _, controllers, path = line.split(":", 2)
            controllers = controllers.removeprefix("name=")
            if controllers in roots:
                paths[controllers] = (roots[controllers] + path).rstrip("/")
        return paths


def this_host() -> Host:
    """Return the hierarchies of this host, as this process's mount namespace shows them."""
    return _of_namespace(os.stat("/proc/self/ns/mnt").st_ino)


@remembered
def _of_namespace(_inode: int) -> Host:
    """Return the hierarchies; a process that has entered another mount namespace reads them again.

    A child of a process that has started containers would go on with its parent's otherwise.
    """
    return Host.mounted()


def locate(cgroups_path: str, identifier: str) -> str:
    """Return a cgroup's path below the root of each hierarchy.

    It is `cgroups_path`, whether absolute or relative, or else a name made of the identifier.
    Raise InvalidConfig.
    """
    if not cgroups_path:
        return f"tonnage-{identifier}"
    if "\0" in cgroups_path or "\n" in cgroups_path:
        raise InvalidConfig(f"linux.cgroupsPath: {cgroups_path!r} contains a NUL or a newline.")
    if cgroups_path.count(":") == 2 and "/" not in cgroups_path:
        raise InvalidConfig(
            f"linux.cgroupsPath: {cgroups_path!r} has the form slice:prefix:name: give a path, or"
            " use the systemd cgroup manager (--systemd-cgroup)."
        )
    # The leading slash keeps every `..` below the root.
    location = os.path.normpath(f"/{cgroups_path}").strip("/")
    if not location:
        raise InvalidConfig(
            f"linux.cgroupsPath: {cgroups_path!r} is the root of all cgroups: name one below it."
        )
    return location


def _controllers(options: str) -> str:
    """Return the controllers in the mount options of a version 1 hierarchy, or its name."""
    words = [word for word in options.split(",") if word not in _FLAGS and "=" not in word]
    names = [word[5:] for word in options.split(",") if word.startswith("name=")]
    return ",".join(names or words)
