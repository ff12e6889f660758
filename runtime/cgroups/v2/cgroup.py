"""A cgroup of version 2: one directory, in which clone3(2) can start the child."""

from __future__ import annotations

import errno
import os
import time

from runtime.cgroups import files
from runtime.cgroups.cgroup import Cgroup, make, unmake
from runtime.errors import ContainerError, InvalidState, Unavailable
from runtime.linux.users import in_user_namespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runtime.cgroups.device_rules import Rule
    from runtime.cgroups.oom import OomEvents
    from runtime.cgroups.settings import Setting
    from runtime.spec.config import Memory, Resources

_FREEZE_SECONDS = 5.0
_DELEGATED = "/sys/kernel/cgroup/delegate"
# OCI config-linux.md, "Cgroup ownership": the files to chown if the kernel has no list.
_DELEGATED_AT_LEAST = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads"


class CgroupV2(Cgroup):
    """A cgroup in the hierarchy of version 2."""

    def __init__(self, paths: dict[str, str]) -> None:
        super().__init__(paths)
        self._directory = paths[""]

    def limit(self, resources: Resources) -> None:
        """Apply the limits of a new container, and deny all devices but the allowed ones."""
        from runtime.cgroups import device_rules, settings
        from runtime.cgroups.v2 import limits

        rules = device_rules.rules(resources.devices)
        settings.apply(limits.settings(resources, self._read), self._directory_of)
        self._limit_devices(rules)

    def update(self, resources: Resources) -> None:
        """Change these limits of a running container; keep all others, and the device rules."""
        from runtime.cgroups import device_rules, settings
        from runtime.cgroups.v2 import limits

        changes = limits.settings(resources, self._read)
        rules = device_rules.rules(resources.devices) if resources.devices else None
        if resources.memory is not None and resources.memory.check_before_update:
            self._check_usage(resources.memory)
        before = settings.as_they_are(changes, self._read)
        try:
            settings.apply(changes, self._directory_of)
            if rules is not None:
                self._limit_devices(rules)
        except ContainerError:
            settings.restore(before, self._directory_of)
            raise

    def delegate(self, user: int) -> None:
        """Give a user the directory, and the files that the kernel lists as safe to delegate."""
        names = (files.read_if_there(_DELEGATED) or _DELEGATED_AT_LEAST).split()
        try:
            os.chown(self._directory, user, -1)
            for name in names:
                path = f"{self._directory}/{name}"
                if os.path.exists(path):
                    os.chown(path, user, -1)
        except OSError as error:
            raise ContainerError(
                f"Can't give the cgroup {self} to user {user}: {error.strerror}."
            ) from error

    def freeze(self) -> None:
        """Write cgroup.freeze, and wait until cgroup.events reports the frozen state."""
        import select

        self._write("cgroup.freeze", "1")
        path = f"{self._directory}/cgroup.events"
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLPRI)
            deadline = time.monotonic() + _FREEZE_SECONDS
            while b"frozen 1" not in os.pread(descriptor, 4096, 0):
                if time.monotonic() > deadline:
                    self.thaw()
                    raise ContainerError(
                        f"The processes of the cgroup {self} did not stop"
                        f" within {_FREEZE_SECONDS:g} s."
                    )
                poll.poll((deadline - time.monotonic()) * 1000)
        finally:
            os.close(descriptor)

    def thaw(self) -> None:
        """Write 0 to cgroup.freeze."""
        self._write("cgroup.freeze", "0")

    def statistics(self) -> dict[str, Any]:
        """Return the usage that the host counts, in the format of `runc events --stats`."""
        from runtime.cgroups.v2 import statistics

        return statistics.read(self._directory)

    def oom_events(self) -> OomEvents:
        """Return a source of events that watches memory.events."""
        from runtime.cgroups import oom

        return oom.of_v2(self._directory)

    def memory_bytes(self) -> int:
        """Return memory.current."""
        text = self._read("memory", "memory.current")
        if text is None:
            raise Unavailable(
                "Memory is not counted: the memory controller of this host's cgroups is absent or"
                " not delegated."
            )
        return int(text)

    def _kill_at_once(self) -> bool:
        try:
            files.write(f"{self._directory}/cgroup.kill", "1")
        except OSError as error:
            # Linux before 5.14 has no cgroup.kill, a threaded cgroup refuses it. ENODEV: it was
            # removed.
            return error.errno == errno.ENODEV
        return True

    def _read(self, _: str, file: str) -> str | None:
        return files.read_if_there(f"{self._directory}/{file}")

    def _write(self, file: str, value: str) -> None:
        try:
            files.write(f"{self._directory}/{file}", value)
        except OSError as error:
            raise ContainerError(
                f"Can't write {value!r} to {self._directory}/{file}: {error.strerror}."
            ) from error

    def _directory_of(self, setting: Setting) -> str:
        from runtime.cgroups import controllers

        is_there = os.path.exists(f"{self._directory}/{setting.file}")
        if not is_there and setting.controller not in [*controllers.of(self._directory), "cgroup"]:
            raise Unavailable(
                f"linux.resources.{setting.field}: this host's cgroups have no {setting.file}: the"
                f" controller {setting.controller} is absent or not delegated."
            )
        return self._directory

    def _limit_devices(self, rules: list[Rule]) -> None:
        from runtime.cgroups import device_rules
        from runtime.cgroups.v2 import device_filter

        try:
            if not device_rules.is_everything_allowed(rules):
                self._attach(device_filter.compose(rules))
            else:
                self._detach()
        except OSError as error:
            if in_user_namespace():
                return  # a user namespace can't make devices that the host's root could not open
            raise ContainerError(
                f"linux.resources.devices: can't set the device filter of {self}: {error.strerror}."
            ) from error

    def _attach(self, instructions: list[bytes]) -> None:
        from runtime.linux import bpf

        program = bpf.load(instructions)
        try:
            directory = self._opened(self._directory, os.O_RDONLY | os.O_DIRECTORY)
            bpf.attach(directory, program)
        finally:
            os.close(program)

    def _detach(self) -> None:
        from runtime.linux import bpf

        bpf.detach_all(self._opened(self._directory, os.O_RDONLY | os.O_DIRECTORY))

    def _check_usage(self, memory: Memory) -> None:
        """Refuse a limit below the present usage, at which the kernel would kill processes.

        (OCI config-linux.md, "Memory", checkBeforeUpdate)
        """
        used = int(self._read("memory", "memory.current") or 0)
        swapped = int(self._read("memory", "memory.swap.current") or 0)
        for name, limit, usage in (
            ("limit", memory.limit, used),
            ("swap", memory.swap, used + swapped),
        ):
            if limit and 0 < limit < usage:
                raise InvalidState(
                    f"linux.resources.memory.{name}: {limit} is below the present usage, {usage},"
                    " and checkBeforeUpdate is set."
                )


def create(location: str, root: str) -> CgroupV2:
    """Make a cgroup below the root of the hierarchy. Undo all and raise ContainerError."""
    from runtime.cgroups import controllers

    directory = f"{root}/{location}"
    new_directories = make(root, location)
    try:
        controllers.enable(directory)
    except BaseException:
        unmake(new_directories)
        raise
    return CgroupV2({"": directory})
