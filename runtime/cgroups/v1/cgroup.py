"""A cgroup of version 1: a directory in each mounted hierarchy, also on hybrid hosts.

A process is moved by a write to a file. It stops every fork and exit on the host for an RCU grace
period (10 ms and more on an idle host), since the thread group must not change meanwhile. A thread
that moves itself, by writing `0` to `tasks`, needs no grace period, so the child does that.
(cgroup_procs_write_start in kernel/cgroup/cgroup.c) On a hybrid host version 2's hierarchy has no
`tasks`, and clone3(2) puts the child there.
"""

from __future__ import annotations

import os
import time

from runtime.cgroups import cpusets, files
from runtime.cgroups.cgroup import Cgroup, make, unmake
from runtime.errors import ContainerError, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runtime.cgroups.oom import OomEvents
    from runtime.cgroups.settings import Setting
    from runtime.launcher.program import Program
    from runtime.spec.config import Resources

_FREEZE_SECONDS = 5.0
_PAUSE_SECONDS = 0.001


class CgroupV1(Cgroup):
    """A cgroup in each hierarchy of version 1, and of version 2 on a hybrid host."""

    def __init__(self, paths: dict[str, str], planned: dict[str, tuple[str, str]] | None = None):
        """Use existing directories, and `planned` ones: the root and the path below it."""
        super().__init__(paths)
        self._planned = planned or {}
        self._directories: dict[str, str] = {}

    @property
    def _by_controller(self) -> dict[str, str]:
        """The directories by controller, sorted at first use."""
        if not self._directories:
            self._directories = {
                controller: directory
                for words, directory in self._to_be().items()
                for controller in words.split(",")
            }
        return self._directories

    def _to_be(self) -> dict[str, str]:
        """Return the paths as they are once all directories are made."""
        return self.paths | {
            words: f"{root}/{location}" for words, (root, location) in self._planned.items()
        }

    def make(self) -> None:
        """Make the planned directories."""
        new_directories: list[str] = []
        try:
            for words, (root, location) in self._planned.items():
                new_directories += make(root, location)
                if "cpuset" in words:
                    cpusets.fill(root, location)
        except BaseException:
            unmake(new_directories)
            self.remove()
            raise
        self.paths = self._to_be()
        self._planned = {}

    def join(self, program: Program) -> None:
        """Make a child write `0` to `tasks` in each hierarchy of version 1."""
        places = [
            (words, program.text(os.fsencode(f"{directory}/tasks")))
            for words, directory in self._to_be().items()
            if words
        ]
        program.part(_join, places)

    def limit(self, resources: Resources) -> None:
        """Apply the limits of a new container, and deny all devices but the allowed ones."""
        from runtime.cgroups import device_rules, settings
        from runtime.cgroups.v1 import limits

        exceptions = device_rules.exceptions_of(resources.devices)
        settings.apply(limits.settings(resources, self._read), self._directory)
        if "devices" in self._by_controller:
            self._limit_devices(*exceptions)
        elif resources.devices and self.paths:
            raise Unavailable(
                "linux.resources.devices: the devices controller is not mounted on this host:"
                " mount it."
            )

    def update(self, resources: Resources) -> None:
        """Change these limits of a running container; keep all others, and the device rules."""
        from runtime.cgroups import device_rules, settings
        from runtime.cgroups.v1 import limits

        changes = limits.settings(resources, self._read)
        before = settings.as_they_are(changes, self._read)
        try:
            settings.apply(changes, self._directory)
            if resources.devices:
                self._limit_devices(*device_rules.exceptions_of(resources.devices))
        except ContainerError:
            settings.restore(before, self._directory)
            raise

    def freeze(self) -> None:
        """Write FROZEN to freezer.state until the file says FROZEN.

        The kernel may miss a process that is being forked, and then says FREEZING.
        """
        path = f"{self._by_name('freezer', 'pause a container')}/freezer.state"
        deadline = time.monotonic() + _FREEZE_SECONDS
        _write(path, "FROZEN")
        while (state := files.read(path)) != "FROZEN":
            if time.monotonic() > deadline:
                _write(path, "THAWED")
                raise ContainerError(
                    f"{path} is {state} after {_FREEZE_SECONDS:g} s: the processes did not stop."
                )
            time.sleep(_PAUSE_SECONDS)
            _write(path, "FROZEN")

    def thaw(self) -> None:
        """Write THAWED to freezer.state."""
        _write(f"{self._by_name('freezer', 'resume a container')}/freezer.state", "THAWED")

    def statistics(self) -> dict[str, Any]:
        """Return the usage that the host counts, in the format of `runc events --stats`."""
        from runtime.cgroups.v1 import statistics

        return statistics.read(self._by_controller)

    def oom_events(self) -> OomEvents:
        """Return a source of events whose eventfd memory.oom_control signals."""
        from runtime.cgroups import oom

        return oom.of_v1(self._by_name("memory", "watch for OOM kills"))

    def memory_bytes(self) -> int:
        """Return memory.usage_in_bytes, which includes kernel memory."""
        directory = self._by_name("memory", "count memory")
        return int(files.read(f"{directory}/memory.usage_in_bytes"))

    def _read(self, controller: str, file: str) -> str | None:
        directory = self._by_controller.get(controller, self.paths.get(""))
        return None if directory is None else files.read_if_there(f"{directory}/{file}")

    def _directory(self, setting: Setting) -> str:
        directory = self._by_controller.get(setting.controller)
        if directory is None and self.paths.get("") and self._is_enabled_in_v2(setting.controller):
            directory = self.paths[""]
        if directory is None:
            raise Unavailable(
                f"linux.resources.{setting.field}: the container has no {setting.controller}"
                " cgroup: remove the limit."
            )
        return directory

    def _is_enabled_in_v2(self, controller: str) -> bool:
        from runtime.cgroups import controllers

        controllers.enable(self.paths[""])
        return controller in controllers.of(self.paths[""])

    def _by_name(self, controller: str, purpose: str) -> str:
        if controller not in self._by_controller:
            raise Unavailable(f"Can't {purpose}: the container has no {controller} cgroup.")
        return self._by_controller[controller]

    def _limit_devices(self, allowed: bool, different: list[str]) -> None:
        """Change devices.list to the wanted rules with as few writes as possible.

        A cgroup with sub-cgroups can't be set back to a default.
        """
        directory = self._by_controller["devices"]
        now = set(files.read(f"{directory}/devices.list").splitlines())
        deny, allow = f"{directory}/devices.deny", f"{directory}/devices.allow"
        if allowed:
            _write(allow, "a")
            _write_lines(deny, different)
            return
        if "a *:* rwm" in now:
            _write(deny, "a")
            now = set()
        _write_lines(deny, sorted(now.difference(different)))
        _write_lines(allow, [line for line in different if line not in now])


def plan(location: str, hierarchies: dict[str, str]) -> CgroupV1:
    """Return a cgroup below the root of each hierarchy; make only version 2's directory.

    The child starts in version 2's cgroup, and joins the others. Raise ContainerError, and then
    nothing was made.
    """
    planned = {words: (root, location) for words, root in hierarchies.items() if words}
    paths = {}
    if "" in hierarchies:
        make(hierarchies[""], location)
        paths[""] = f"{hierarchies['']}/{location}"
    return CgroupV1(paths, planned)


def _join(program: Program, places: list[tuple[str, int]]) -> None:
    """Compose a part of the program; it can be reused for cgroups with paths of the same length."""
    from runtime.launcher.program import write_file

    for words, place in places:
        write_file(program, f"join the cgroup of {words}", place, "0")


def _write(path: str, value: str) -> None:
    try:
        files.write(path, value)
    except OSError as error:
        raise ContainerError(f"Can't write {value!r} to {path}: {error.strerror}.") from error


def _write_lines(path: str, lines: list[str]) -> None:
    if not lines:
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for line in lines:
            os.write(descriptor, line.encode())
    except OSError as error:
        raise ContainerError(f"Can't write {line!r} to {path}: {error.strerror}.") from error
    finally:
        os.close(descriptor)
