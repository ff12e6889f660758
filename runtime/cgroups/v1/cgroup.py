"""Version 1: a directory in each hierarchy that is mounted, hybrid hosts included.

A process is moved by a write to a file, which stops every fork and exit on the host for an RCU
grace period (10 ms and more on a host at rest): the kernel must see that the thread group does not
change meanwhile. It need not when a thread moves itself, by `0` written to `tasks`; so the child
does that. (cgroup_procs_write_start in kernel/cgroup/cgroup.c) On a hybrid host version 2's
hierarchy has no `tasks`, and clone3(2) puts the child there.
"""

from __future__ import annotations

import os
import time

from runtime.cgroups import files
from runtime.cgroups.cgroup import Cgroup, make, unmake
from runtime.errors import ContainerError

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
    """A cgroup in each of version 1's hierarchies, and in version 2's where that is mounted too."""

    def __init__(self, paths: dict[str, str], planned: dict[str, tuple[str, str]] | None = None):
        """`planned` are those that are not made yet: the hierarchy's root, and where below it."""
        super().__init__(paths)
        self._planned = planned or {}
        self._directories: dict[str, str] = {}

    @property
    def _by_controller(self) -> dict[str, str]:
        """The controllers' directories, sorted out when one is first asked for."""
        if not self._directories:
            self._directories = {
                controller: directory
                for words, directory in self._to_be().items()
                for controller in words.split(",")
            }
        return self._directories

    def _to_be(self) -> dict[str, str]:
        """Its paths once all is made."""
        return self.paths | {
            words: f"{root}/{location}" for words, (root, location) in self._planned.items()
        }

    def make(self) -> None:
        """Make the directories that are planned."""
        made: list[str] = []
        try:
            for words, (root, location) in self._planned.items():
                made += make(root, location)
                if "cpuset" in words:
                    from runtime.cgroups import cpusets

                    cpusets.fill(root, location)
        except BaseException:
            unmake(made)
            self.remove()
            raise
        self.paths = self._to_be()
        self._planned = {}

    def join(self, program: Program) -> None:
        """Have a child write `0` to `tasks` of each hierarchy of version 1."""
        places = [
            (words, program.text(os.fsencode(f"{directory}/tasks")))
            for words, directory in self._to_be().items()
            if words
        ]
        program.part(_join, places)

    def limit(self, resources: Resources) -> None:
        """Set what is asked for, and forbid all devices but those that are asked for."""
        from runtime.cgroups import device_rules, settings
        from runtime.cgroups.v1 import limits

        wanted = device_rules.exceptions_of(resources.devices)
        settings.apply(limits.settings(resources, self._read), self._directory)
        if "devices" in self._by_controller:
            self._limit_devices(*wanted)
        elif resources.devices and self.paths:
            raise ContainerError(
                "linux.resources.devices: this host has no devices controller: mount it."
            )

    def update(self, resources: Resources) -> None:
        """Set what is asked for while it runs, and leave the rest, devices too, as it is."""
        from runtime.cgroups import device_rules, settings
        from runtime.cgroups.v1 import limits

        wanted = limits.settings(resources, self._read)
        before = settings.as_they_are(wanted, self._read)
        try:
            settings.apply(wanted, self._directory)
            if resources.devices:
                self._limit_devices(*device_rules.exceptions_of(resources.devices))
        except ContainerError:
            settings.restore(before, self._directory)
            raise

    def freeze(self) -> None:
        """Write FROZEN to freezer.state until that is what it says.

        The kernel may miss a process that is just being forked, and then it says FREEZING.
        """
        path = f"{self._by_name('freezer', 'pause a container')}/freezer.state"
        deadline = time.monotonic() + _FREEZE_SECONDS
        _write(path, "FROZEN")
        while (state := files.read(path)) != "FROZEN":
            if time.monotonic() > deadline:
                _write(path, "THAWED")
                raise ContainerError(f"{path} stays at {state}: the processes do not stop.")
            time.sleep(_PAUSE_SECONDS)
            _write(path, "FROZEN")

    def thaw(self) -> None:
        """Write THAWED to freezer.state."""
        _write(f"{self._by_name('freezer', 'resume a container')}/freezer.state", "THAWED")

    def statistics(self) -> dict[str, Any]:
        """What it uses, as `runc events --stats` tells it; what the host lacks is absent."""
        from runtime.cgroups.v1 import statistics as statistics_v1

        return statistics_v1.read(self._by_controller)

    def oom_events(self) -> OomEvents:
        """An eventfd that memory.oom_control signals."""
        from runtime.cgroups import oom

        return oom.of_v1(self._by_name("memory", "hear of want of memory"))

    def memory_bytes(self) -> int:
        """memory.usage_in_bytes, which has kernel memory in it."""
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
            raise ContainerError(
                f"linux.resources.{setting.field}: there is no {setting.controller} cgroup for"
                " this container: leave out the limit on it."
            )
        return directory

    def _is_enabled_in_v2(self, controller: str) -> bool:
        from runtime.cgroups import controllers

        controllers.enable(self.paths[""])
        return controller in controllers.of(self.paths[""])

    def _by_name(self, controller: str, purpose: str) -> str:
        if controller not in self._by_controller:
            raise ContainerError(f"Can't {purpose}: the container has no {controller} cgroup.")
        return self._by_controller[controller]

    def _limit_devices(self, allowed: bool, different: list[str]) -> None:
        """From what devices.list has to what is wanted, in as few writes as that takes.

        A cgroup that has sub-cgroups can't be set back to a default.
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
    """A cgroup below the root of each hierarchy, of which nothing is made but version 2's.

    In that the child is born, the others it joins. Raises ContainerError, and then there is none.
    """
    planned = {words: (root, location) for words, root in hierarchies.items() if words}
    paths = {}
    if "" in hierarchies:
        make(hierarchies[""], location)
        paths[""] = f"{hierarchies['']}/{location}"
    return CgroupV1(paths, planned)


def _join(program: Program, places: list[tuple[str, int]]) -> None:
    """A part, which is the same for all cgroups whose paths are as long."""
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
