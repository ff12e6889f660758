"""A cgroup that systemd keeps: a transient scope, whose limits it is told as well.

A scope is there only while a process is in it, and its container's comes later; so a process that
does nothing holds the place until the descriptors are closed, which says that the child was
started. systemd writes a scope's limits anew when it reloads, hence it must know them. Finer ones
than it can be told are written after it. (systemd.scope(5), systemd.resource-control(5),
org.freedesktop.systemd1(5))
"""

from __future__ import annotations

import os
import time

from runtime.cgroups import controllers, dbus, manager
from runtime.cgroups.cgroup import Cgroup
from runtime.cgroups.v1 import cgroup as v1
from runtime.cgroups.v1.cgroup import CgroupV1
from runtime.cgroups.v2.cgroup import CgroupV2
from runtime.cgroups.v2.limits import weight
from runtime.errors import ContainerError
from runtime.linux.users import is_rootless

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.spec.config import Cpu, Memory, Resources

    Property = tuple[str, tuple[str, object]]

_BOOTED = "/run/systemd/system"
_MANAGER = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_START_SECONDS = 10.0
_PAUSE_SECONDS = 0.002
_KILL = 9
_WITHOUT_LIMIT = (1 << 64) - 1
_DEFAULT_PERIOD_US = 100_000
_GRAIN_US = 10_000  # systemd counts quotas in hundredths of a CPU


class _Scope(Cgroup):
    """What a scope does beside; the version's own class comes after it."""

    holder: _Holder | None = None

    def limit(self, resources: Resources) -> None:
        """Set what is asked for, and forbid all devices but those that are asked for."""
        self._tell(resources)
        super().limit(resources)

    def update(self, resources: Resources) -> None:
        """Set what is asked for while it runs, and leave the rest, devices too, as it is."""
        self._tell(resources)
        super().update(resources)

    def close(self) -> None:
        """Close the descriptors, and let go of the place: the child has been started."""
        super().close()
        if self.holder is not None:
            self.holder.end()
            self.holder = None

    def _tell(self, resources: Resources) -> None:
        wanted = properties(resources, is_v2=set(self.paths) == {""})
        if not wanted:
            return
        unit = os.path.basename(str(self))
        with _connected() as connection:
            try:
                connection.call(*_MANAGER, "SetUnitProperties", "sba(sv)", unit, True, wanted)
            except dbus.CallFailed as error:
                if not error.name.endswith(".NoSuchUnit"):
                    raise


class _ScopeV1(_Scope, CgroupV1):
    """A scope on version 1."""


class _ScopeV2(_Scope, CgroupV2):
    """A scope on version 2."""


def create(cgroups_path: str, identifier: str, this: manager.Host) -> Cgroup:
    """A scope `prefix-name.scope` in the slice, for `slice:prefix:name` or an empty path.

    Raises ContainerError, and then there is none.
    """
    if not is_running():
        raise ContainerError("The systemd cgroup manager needs systemd, which does not run here.")
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
    """The scope that another process made, by its `paths`."""
    return _ScopeV2(paths) if set(paths) == {""} else _ScopeV1(paths)


def is_running() -> bool:
    """Whether systemd is this host's. (sd_booted(3))"""
    return os.path.isdir(_BOOTED)


def names(cgroups_path: str, identifier: str) -> tuple[str, str]:
    """Slice and scope for the document's path. Raises ContainerError."""
    default = "system.slice" if os.geteuid() == 0 else "user.slice"
    words = cgroups_path.split(":") if cgroups_path else [default, "tonnage", identifier]
    if len(words) != 3 or not words[2]:
        raise ContainerError(
            f"linux.cgroupsPath: {cgroups_path!r} is not slice:prefix:name, as the systemd cgroup"
            " manager wants it."
        )
    parent, prefix, name = words
    if parent and not parent.endswith(".slice"):
        raise ContainerError(f"linux.cgroupsPath: {parent!r} is no slice: its name ends in .slice.")
    return parent or default, f"{prefix}-{name}.scope" if prefix else f"{name}.scope"


def start(connection: dbus.Connection, unit: str, parent: str, pid: int) -> None:
    """Have a process moved into a new scope; returns when it is. Raises ContainerError."""
    wanted: list[Property] = [
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
            *_MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", wanted, []
        )
    except dbus.CallFailed as error:
        raise ContainerError(f"Can't start the scope {unit}: {error}.") from error
    deadline = time.monotonic() + _START_SECONDS
    while state(connection, unit) == "activating":
        if time.monotonic() > deadline:
            raise ContainerError(f"systemd has not started the scope {unit} in time.")
        time.sleep(_PAUSE_SECONDS)
    if state(connection, unit) != "active":
        raise ContainerError(f"systemd could not start the scope {unit}: ask `journalctl -u`.")


def state(connection: dbus.Connection, unit: str) -> str:
    """ActiveState, where a unit that waits for its job counts as activating."""
    (path,) = connection.call(*_MANAGER, "LoadUnit", "s", unit)
    active, job = (
        connection.call(
            path, "org.freedesktop.DBus.Properties", "Get", "ss",
            "org.freedesktop.systemd1.Unit", name,
        )[0]
        for name in ("ActiveState", "Job")
    )  # fmt: skip
    return "activating" if job[0] else str(active)


def properties(resources: Resources, *, is_v2: bool) -> list[Property]:
    """The limits as far as systemd knows them."""
    found: list[Property] = []
    if resources.memory is not None:
        found += _memory(resources.memory, is_v2=is_v2)
    if resources.cpu is not None:
        found += _cpu(resources.cpu, is_v2=is_v2)
    if resources.pids is not None and resources.pids.limit is not None:
        limit = resources.pids.limit
        found.append(_number("TasksMax", -1 if limit < 0 else max(limit, 1)))
    return found


def _memory(memory: Memory, *, is_v2: bool) -> Iterator[Property]:
    if memory.limit:
        yield _number("MemoryMax" if is_v2 else "MemoryLimit", memory.limit)
    if is_v2 and memory.reservation:
        yield _number("MemoryLow", memory.reservation)
    if is_v2 and memory.limit and memory.swap:
        swap = memory.swap
        yield _number("MemorySwapMax", swap if -1 in {swap, memory.limit} else swap - memory.limit)


def _cpu(cpu: Cpu, *, is_v2: bool) -> Iterator[Property]:
    if cpu.shares:
        yield (
            _number("CPUWeight", weight(cpu.shares)) if is_v2 else _number("CPUShares", cpu.shares)
        )
    if cpu.quota:
        period = cpu.period or _DEFAULT_PERIOD_US
        share = (
            -1 if cpu.quota < 0 else -(-cpu.quota * 1_000_000 // period // _GRAIN_US) * _GRAIN_US
        )
        yield _number("CPUQuotaPerSecUSec", share)
    if is_v2:
        for name, text in (("AllowedCPUs", cpu.cpus), ("AllowedMemoryNodes", cpu.mems)):
            if text:
                yield name, ("ay", mask(text))


def mask(text: str) -> bytes:
    """A list such as 0-3,7 as bits, the lowest first."""
    from runtime.cgroups.v1.statistics import listed

    try:
        bits = sum(1 << number for number in set(listed(text)))
    except ValueError as error:
        raise ContainerError(f"linux.resources.cpu: {text!r} is no list such as 0-3,7.") from error
    return bits.to_bytes(bits.bit_length() // 8 + 1, "little")


def _number(name: str, value: int) -> Property:
    return name, ("t", _WITHOUT_LIMIT if value < 0 else value)


def _with_all_hierarchies(pid: int, unit: str, this: manager.Host) -> _Scope:
    """The holder's cgroups; on version 1, ones of that name where systemd makes none, too."""
    paths = manager.of_process(pid, this).paths
    location = next(
        (paths[words].removeprefix(root) for words, root in this.every_hierarchy().items()
         if os.path.basename(paths.get(words, "")) == unit),
        None,
    )  # fmt: skip
    if location is None:
        raise ContainerError(f"systemd has started {unit}, but moved no process into it.")
    if this.is_v2:
        controllers.enable(paths[""])  # systemd does not know all
        return _ScopeV2(paths)
    roots = this.every_hierarchy().items()
    missing = {words: root for words, root in roots if paths.get(words) != root + location}
    made = v1.plan(location.strip("/"), missing)
    made.make()
    return _ScopeV1({**paths, **made.paths})


def _connected() -> dbus.Connection:
    if not is_rootless():
        return dbus.Connection("/run/systemd/private")
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.geteuid()}")
    return dbus.Connection(f"{runtime}/systemd/private")


class _Holder:
    """A child that does nothing until it is ended, or its parent is gone."""

    def __init__(self) -> None:
        reading, self._writing = os.pipe2(os.O_CLOEXEC)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._writing)
            os.read(reading, 1)
            os._exit(0)
        os.close(reading)

    def end(self) -> None:
        """Let it end, also where it is frozen, and reap it."""
        os.close(self._writing)
        os.kill(self.pid, _KILL)
        os.waitpid(self.pid, 0)
