"""Which cgroups this host has, and ours on it."""

from __future__ import annotations

import os

from runtime.cgroups import files
from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.cgroups.cgroup import Cgroup

ROOT = "/sys/fs/cgroup"
# An annotation: the controllers, comma-separated, of version 1 that a container is to have no
# cgroup of its own of. One of memory costs the kernel the more, the more of them there are.
WITHOUT = "io.github.tonnage.cgroup.without"
_SYSTEMD = "/run/systemd/system"
# What a mount of version 1 may say beside its controllers.
_FLAGS = {"rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods"}


class Host:
    """What is mounted: version 1's hierarchies by their controllers, and version 2's.

    Version 2 alone is there if `hierarchies` is empty; both are in a hybrid host, whose version 2
    has the controllers that version 1 left.
    """

    def __init__(self, hierarchies: dict[str, str], unified: str | None) -> None:
        self.hierarchies = hierarchies
        self.unified = unified

    @classmethod
    def mounted(cls, root: str = ROOT, table: str = "/proc/self/mountinfo") -> Host:
        """What the table of mounts has at `root` or directly below. (proc_pid_mountinfo(5))"""
        hierarchies: dict[str, str] = {}
        unified = None
        for line in files.read(table).splitlines():
            mount, _, system = line.partition(" - ")
            where = mount.split()[4]
            kind, _, options = system.split()[:3]
            if f"{root}/".startswith(f"{where.rstrip('/')}/"):
                hierarchies, unified = {}, None  # it hides what was mounted below before
            if kind == "cgroup2" and where in {root, f"{root}/unified"}:
                unified = where
            elif kind == "cgroup" and os.path.dirname(where) == root:
                hierarchies[_controllers(options)] = where
        return cls(hierarchies, unified)

    @property
    def is_v2(self) -> bool:
        """Whether version 2 has the controllers (`unified`), not just a place (`hybrid`)."""
        return self.unified is not None and not self.hierarchies

    def every_hierarchy(self) -> dict[str, str]:
        """Version 1's, and version 2's without a name."""
        return {**self.hierarchies, **({} if self.unified is None else {"": self.unified})}


_this: list[Host] = []


def this_host() -> Host:
    """This host's, looked up once."""
    if not _this:
        _this.append(Host.mounted())
    return _this[0]


def is_v2() -> bool:
    """Whether this host has version 2 alone."""
    return this_host().is_v2


def hierarchies() -> dict[str, str]:
    """Version 1's mounts: {controllers, comma-separated, or `systemd`: root}."""
    return this_host().hierarchies


def create(
    cgroups_path: str,
    identifier: str,
    *,
    manager: str = "cgroupfs",
    without: frozenset[str] = frozenset(),
    host: Host | None = None,
) -> Cgroup:
    """A container's cgroup, as `plan` has it, made. Raises ContainerError: then there is none."""
    cgroup = plan(cgroups_path, identifier, manager=manager, without=without, host=host)
    cgroup.make()
    return cgroup


def plan(
    cgroups_path: str,
    identifier: str,
    *,
    manager: str = "cgroupfs",
    without: frozenset[str] = frozenset(),
    host: Host | None = None,
) -> Cgroup:
    """A container's cgroup, in every hierarchy: `cgroups_path` is the document's, or empty.

    Where a child joins it, it is not made yet, but what the child is born in is.

    In version 1's hierarchies of the controllers `without` it has none of its own, and stays in the
    cgroup of whoever makes it; version 2 has no such choice.

    `manager` is `cgroupfs`, which makes directories; `systemd`, which asks systemd for a scope, the
    path being `slice:prefix:name`; or `disabled`, whose cgroup limits nothing. One that exists is
    taken over if nothing runs in it. Raises ContainerError, and then nothing was made.
    """
    host = host or this_host()
    if manager == "disabled":
        return reopen({})
    if not host.every_hierarchy():
        raise ContainerError(f"This host has no cgroups below {ROOT}: mount them.")
    if manager == "systemd":
        from runtime.cgroups import systemd

        return systemd.create(cgroups_path, identifier, host)
    if manager != "cgroupfs":
        raise ContainerError(
            f"There is no cgroup manager {manager!r}: cgroupfs, systemd and disabled are."
        )
    location = locate(cgroups_path, identifier)
    if host.is_v2:
        from runtime.cgroups.v2 import cgroup as v2

        return v2.create(location, host.every_hierarchy()[""])
    from runtime.cgroups.v1 import cgroup as v1

    wanted = {
        words: root
        for words, root in host.every_hierarchy().items()
        if without.isdisjoint(words.split(","))
    }
    return v1.plan(location, wanted)


def reopen(paths: dict[str, str]) -> Cgroup:
    """The cgroup that another process made, by its `paths`."""
    if any(path.endswith(".scope") for path in paths.values()) and os.path.isdir(_SYSTEMD):
        from runtime.cgroups import systemd

        return systemd.reopen(paths)
    if set(paths) == {""}:
        from runtime.cgroups.v2.cgroup import CgroupV2

        return CgroupV2(paths)
    from runtime.cgroups.v1.cgroup import CgroupV1

    return CgroupV1(paths)


def below(paths: dict[str, str], wanted: Sequence[str]) -> Cgroup:
    """A cgroup's sub-cgroup that is there: for all controllers, or by `CONTROLLER,…:PATH` for some.

    Raises ContainerError.
    """
    found = dict(paths)
    for each in wanted:
        names, _, path = each.rpartition(":")
        asked = {name for name in names.split(",") if name}
        hierarchies = [words for words in paths if not asked or asked & set(words.split(","))]
        if not hierarchies:
            raise ContainerError(f"--cgroup {each}: the container has no cgroup of {names}.")
        for words in hierarchies:
            found[words] = os.path.normpath(f"{paths[words]}/{path}")
            if not f"{found[words]}/".startswith(f"{paths[words]}/"):
                raise ContainerError(f"--cgroup {each} leads out of the container's cgroup.")
            if not os.path.isdir(found[words]):
                raise ContainerError(f"--cgroup {each}: there is no cgroup {found[words]}.")
            if "cpuset" in words.split(","):
                from runtime.cgroups import cpusets

                cpusets.fill(paths[words], found[words][len(paths[words]) + 1 :])
    return reopen(found)


def at(cgroups_path: str, identifier: str) -> Cgroup:
    """The cgroup that `create` makes of these, as far as it is there."""
    location = locate(cgroups_path, identifier)
    paths = {words: f"{root}/{location}" for words, root in this_host().every_hierarchy().items()}
    return reopen({words: path for words, path in paths.items() if os.path.isdir(path)})


def of_process(pid: int, host: Host | None = None) -> Cgroup:
    """The cgroup that a process is in, for another one to be started beside it.

    A container's first process may have moved to a sub-cgroup, and version 2 allows no other
    process in the cgroup above it then. Raises ContainerError if the process is gone.
    """
    roots = (host or this_host()).every_hierarchy()
    try:
        lines = files.read(f"/proc/{pid}/cgroup").splitlines()
    except OSError as error:
        raise ContainerError(
            f"Can't read the cgroup of process {pid}: {error.strerror}."
        ) from error
    paths = {}
    for line in lines:
        _, words, path = line.split(":", 2)
        words = words.removeprefix("name=")
        if words in roots:
            paths[words] = (roots[words] + path).rstrip("/")
    return reopen(paths)


def leftovers(name: str) -> list[str]:
    """The directories of that name below the roots of all hierarchies."""
    roots = this_host().every_hierarchy().values()
    return [f"{root}/{name}" for root in roots if os.path.isdir(f"{root}/{name}")]


def locate(cgroups_path: str, identifier: str) -> str:
    """Where a cgroup is below each root: the path, relative ones too, or a name of our own.

    Raises ContainerError.
    """
    if not cgroups_path:
        return f"tonnage-{identifier}"
    if "\0" in cgroups_path or "\n" in cgroups_path:
        raise ContainerError(f"linux.cgroupsPath: {cgroups_path!r} holds a NUL or a line's end.")
    if cgroups_path.count(":") == 2 and "/" not in cgroups_path:
        raise ContainerError(
            f"linux.cgroupsPath: {cgroups_path!r} is for the systemd cgroup manager; without it"
            " there must be a path."
        )
    # Cleaned below the root, so that no `..` leads out of it.
    location = os.path.normpath(f"/{cgroups_path}").strip("/")
    if not location:
        raise ContainerError(f"linux.cgroupsPath: {cgroups_path!r} is the root of all cgroups.")
    return location


def _controllers(options: str) -> str:
    """The controllers of a mount of version 1, or its name."""
    words = [word for word in options.split(",") if word not in _FLAGS and "=" not in word]
    named = [word[5:] for word in options.split(",") if word.startswith("name=")]
    return ",".join(named or words)
