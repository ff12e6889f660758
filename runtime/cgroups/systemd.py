"""A cgroup that systemd manages: a transient scope, which knows the container's limits.

A scope exists only while it has a process, but the container's process comes later. So a child that
does nothing keeps the scope until the descriptors are closed, which means that the container has
been started. systemd rewrites a scope's limits when it reloads, so it must know them; limits that
it has no property for are written to the files afterwards. (systemd.scope(5),
systemd.resource-control(5), org.freedesktop.systemd1(5))
"""

from __future__ import annotations

import os
import time

from runtime.cgroups import controllers, dbus
from runtime.cgroups.cgroup import Cgroup
from runtime.cgroups.systemd_properties import properties
from runtime.cgroups.v1 import cgroup as v1
from runtime.cgroups.v1.cgroup import CgroupV1
from runtime.cgroups.v2.cgroup import CgroupV2
from runtime.errors import ContainerError, InvalidConfig, Unavailable
from runtime.linux.users import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runtime.cgroups.hierarchies import Host
    from runtime.cgroups.systemd_properties import Property
    from runtime.spec.config import Resources

_BOOTED = "/run/systemd/system"
_MANAGER = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_START_SECONDS = 10.0
_PAUSE_SECONDS = 0.002
_KILL = 9


class _Scope(Cgroup):
    """A scope on either version; the class of the version follows it in the MRO."""

    holder: _Holder | None = None

    def limit(self, resources: Resources) -> None:
        """Apply the limits of a new container, and deny all devices but the allowed ones."""
        self._tell(resources)
        super().limit(resources)

    def update(self, resources: Resources) -> None:
        """Change these limits of a running container; keep all others, and the device rules."""
        self._tell(resources)
        super().update(resources)

    def close(self) -> None:
        """Close the descriptors and end the holder, once the child has been started."""
        super().close()
        if self.holder is not None:
            self.holder.end()
            self.holder = None

    def _tell(self, resources: Resources) -> None:
        unit_properties = properties(resources, is_v2=set(self.paths) == {""})
        if not unit_properties:
            return
        unit = os.path.basename(str(self))
        with _connected() as connection:
            try:
                connection.call(
                    *_MANAGER, "SetUnitProperties", "sba(sv)", unit, True, unit_properties
                )
            except dbus.CallFailed as error:
                if not error.name.endswith(".NoSuchUnit"):
                    raise


class _ScopeV1(_Scope, CgroupV1):
    """A scope on version 1."""


class _ScopeV2(_Scope, CgroupV2):
    """A scope on version 2."""


def create(cgroups_path: str, identifier: str, this: Host) -> Cgroup:
    """Start a scope `prefix-name.scope` in a slice, for `slice:prefix:name` or an empty path.

    Raise ContainerError, and then there is no scope.
    """
    if not is_running():
        raise Unavailable("The systemd cgroup manager needs systemd, which is not running here.")
    parent, unit = names(cgroups_path, identifier)
    holder = _Holder()
    try:
        with _connected() as connection:
            start(connection, unit, parent, holder.pid)
        cgroup = _with_all_hierarchies(holder.pid, unit, this)
    except BaseException:
        holder.end()
        raise
    cgroup.holder = holder
    return cgroup


def reopen(paths: dict[str, str]) -> Cgroup:
    """Return the scope that another process made, by its `paths`."""
    return _ScopeV2(paths) if set(paths) == {""} else _ScopeV1(paths)


def is_running() -> bool:
    """Return True if the host was booted with systemd. (sd_booted(3))"""
    return os.path.isdir(_BOOTED)


def names(cgroups_path: str, identifier: str) -> tuple[str, str]:
    """Return the slice and the scope for linux.cgroupsPath. Raise InvalidConfig."""
    default = "system.slice" if os.geteuid() == 0 else "user.slice"
    words = cgroups_path.split(":") if cgroups_path else [default, "tonnage", identifier]
    if len(words) != 3 or not words[2]:
        raise InvalidConfig(
            f"linux.cgroupsPath: {cgroups_path!r} must have the form slice:prefix:name for the"
            " systemd cgroup manager."
        )
    parent, prefix, name = words
    if parent and not parent.endswith(".slice"):
        raise InvalidConfig(f"linux.cgroupsPath: the slice {parent!r} must end in .slice.")
    return parent or default, f"{prefix}-{name}.scope" if prefix else f"{name}.scope"


def start(connection: dbus.Connection, unit: str, parent: str, pid: int) -> None:
    """Move a process into a new scope, and return once it is there. Raise ContainerError."""
    unit_properties: list[Property] = [
        ("Description", ("s", f"container {unit.removesuffix('.scope')}")),
        ("Slice", ("s", parent)),
        ("PIDs", ("au", [pid])),
        ("Delegate", ("b", True)),
        ("DefaultDependencies", ("b", False)),
        ("CollectMode", ("s", "inactive-or-failed")),
        *((f"{name}Accounting", ("b", True)) for name in ("CPU", "Memory", "IO", "Tasks")),
    ]
    try:
        connection.call(
            *_MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", unit_properties, []
        )
    except dbus.CallFailed as error:
        raise ContainerError(f"Can't start the scope {unit}: {error}.") from error
    deadline = time.monotonic() + _START_SECONDS
    while state(connection, unit) == "activating":
        if time.monotonic() > deadline:
            raise ContainerError(
                f"systemd did not start the scope {unit} within {_START_SECONDS:g} s."
            )
        time.sleep(_PAUSE_SECONDS)
    if state(connection, unit) != "active":
        raise ContainerError(
            f"systemd could not start the scope {unit}: see `journalctl -u {unit}`."
        )


def state(connection: dbus.Connection, unit: str) -> str:
    """Return ActiveState; a unit that waits for its job counts as activating."""
    (path,) = connection.call(*_MANAGER, "LoadUnit", "s", unit)
    active, job = (
        connection.call(
            path, "org.freedesktop.DBus.Properties", "Get", "ss",
            "org.freedesktop.systemd1.Unit", name,
        )[0]
        for name in ("ActiveState", "Job")
    )  # fmt: skip
    return "activating" if job[0] else str(active)


def _with_all_hierarchies(pid: int, unit: str, this: Host) -> _Scope:
    """Return the scope of the holder, with directories of version 1 that systemd does not make."""
    paths = this.cgroups_of(pid)
    location = next(
        (paths[words].removeprefix(root) for words, root in this.every_hierarchy().items()
         if os.path.basename(paths.get(words, "")) == unit),
        None,
    )  # fmt: skip
    if location is None:
        raise ContainerError(f"systemd started the scope {unit} without its process.")
    if this.is_v2:
        controllers.enable(paths[""])  # systemd does not enable all of them
        return _ScopeV2(paths)
    roots = this.every_hierarchy().items()
    missing = {words: root for words, root in roots if paths.get(words) != root + location}
    other = v1.plan(location.strip("/"), missing)
    other.make()
    return _ScopeV1({**paths, **other.paths})


def _connected() -> dbus.Connection:
    if not is_rootless():
        return dbus.Connection("/run/systemd/private")
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
    return dbus.Connection(f"{runtime}/systemd/private")


class _Holder:
    """A child that does nothing until it is killed or its parent has ended."""

    def __init__(self) -> None:
        reading, self._writing = os.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._writing)
            os.read(reading, 1)
            os._exit(0)
        os.close(reading)

    def end(self) -> None:
        """Kill it, which works for a frozen process too, and reap it."""
        os.close(self._writing)
        os.kill(self.pid, _KILL)
        os.waitpid(self.pid, 0)
