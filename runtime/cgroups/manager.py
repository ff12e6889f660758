"""Cgroups of containers, made or reopened with the version that the host has."""

from __future__ import annotations

import os

from runtime.cgroups.hierarchies import ROOT, locate, this_host
from runtime.errors import InvalidConfig, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.cgroups.cgroup import Cgroup
    from runtime.cgroups.hierarchies import Host

_SYSTEMD = "/run/systemd/system"


def create(
    cgroups_path: str,
    identifier: str,
    *,
    manager: str = "cgroupfs",
    without: frozenset[str] = frozenset(),
    host: Host | None = None,
) -> Cgroup:
    """Make a container's cgroup, with the arguments of `plan`.

    Undo all and raise ContainerError.
    """
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
    """Return a container's cgroup in every hierarchy; `cgroups_path` is linux.cgroupsPath.

    The directories that the child joins itself are only planned, and made by `Cgroup.make`; the
    one that clone3(2) puts it into is made here.

    In version 1's hierarchies with a controller of `without` the container gets no cgroup: its
    processes stay in the cgroup of the caller. Version 2 ignores `without`.

    `manager` is `cgroupfs`, which makes directories; `systemd`, which asks systemd for a scope, and
    takes a path of the form `slice:prefix:name`; or `disabled`, whose cgroup limits nothing. An
    existing cgroup is reused if it has no processes. Raise ContainerError, and then nothing was
    made.
    """
    host = host or this_host()
    if manager == "disabled":
        return reopen({})
    if not host.every_hierarchy():
        raise Unavailable(f"No cgroup hierarchy is mounted below {ROOT}: mount it.")
    if manager == "systemd":
        from runtime.cgroups import systemd

        return systemd.create(cgroups_path, identifier, host)
    if manager != "cgroupfs":
        raise InvalidConfig(
            f"There is no cgroup manager {manager!r}: choose cgroupfs, systemd or disabled."
        )
    location = locate(cgroups_path, identifier)
    if host.is_v2:
        from runtime.cgroups.v2 import cgroup as v2

        return v2.create(location, host.every_hierarchy()[""])
    from runtime.cgroups.v1 import cgroup as v1

    roots = {
        controllers: root
        for controllers, root in host.every_hierarchy().items()
        if without.isdisjoint(controllers.split(","))
    }
    return v1.plan(location, roots)


def reopen(paths: dict[str, str]) -> Cgroup:
    """Return the cgroup that another process made, by its `paths`."""
    if any(path.endswith(".scope") for path in paths.values()) and os.path.isdir(_SYSTEMD):
        from runtime.cgroups import systemd

        return systemd.reopen(paths)
    if set(paths) == {""}:
        from runtime.cgroups.v2.cgroup import CgroupV2

        return CgroupV2(paths)
    from runtime.cgroups.v1.cgroup import CgroupV1

    return CgroupV1(paths)


def below(paths: dict[str, str], selections: Sequence[str]) -> Cgroup:
    """Return an existing sub-cgroup of the cgroup with these `paths`.

    A selection is a path for all controllers, or `CONTROLLER,…:PATH` for some of them. Raise
    ContainerError.
    """
    selected = dict(paths)
    for selection in selections:
        names, _, path = selection.rpartition(":")
        controllers = {name for name in names.split(",") if name}
        hierarchies = [
            words for words in paths if not controllers or controllers & set(words.split(","))
        ]
        if not hierarchies:
            raise InvalidConfig(f"--cgroup {selection}: the container has no {names} cgroup.")
        for words in hierarchies:
            selected[words] = os.path.normpath(f"{paths[words]}/{path}")
            if not f"{selected[words]}/".startswith(f"{paths[words]}/"):
                raise InvalidConfig(
                    f"--cgroup {selection}: the path leads out of the container's cgroup."
                )
            if not os.path.isdir(selected[words]):
                raise InvalidConfig(
                    f"--cgroup {selection}: the cgroup {selected[words]} doesn't exist."
                )
            if "cpuset" in words.split(","):
                from runtime.cgroups import cpusets

                cpusets.fill(paths[words], selected[words][len(paths[words]) + 1 :])
    return reopen(selected)


def at(cgroups_path: str, identifier: str) -> Cgroup:
    """Return the cgroup that `create` makes with these arguments, as far as it exists."""
    location = locate(cgroups_path, identifier)
    paths = {words: f"{root}/{location}" for words, root in this_host().every_hierarchy().items()}
    return reopen({words: path for words, path in paths.items() if os.path.isdir(path)})


def of_process(pid: int, host: Host | None = None) -> Cgroup:
    """Return the cgroup that a process is in, for another process to be started in it.

    A container's first process may have moved to a sub-cgroup, and version 2 then allows no
    process in the container's own cgroup. Raise ContainerError if the process is gone.
    """
    return reopen((host or this_host()).cgroups_of(pid))
