"""LXC, by `lxc-start` in the foreground.

An instance is an application container: the payload takes the place of an init system. The
configuration equals that of crun and runc (lab.targets.containers.oci): new namespaces, docker's
default capabilities, a network with only a loopback device, limits on memory, CPU and processes, no
seccomp filter and no AppArmor profile. LXC protects /proc and /sys by read-only mounts in its own
way (`proc:mixed`, `sys:ro`).

For `lxc`, LXC mounts the overlay itself, during the timed start. `lxc-dir` gets a directory on
which the overlay was mounted before t0, as for crun and runc.

Containers are described in the worker's directory (`-P`). The cgroups of a container, of its
monitor and the one that the monitor moves to at its end have names of the lab; by default LXC would
leave `lxc.pivot` in every hierarchy.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import TargetFailed
from lab.host import facts, mount_namespace
from lab.targets import base
from lab.targets.containers import command, oci
from lab.targets.programs import absent_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.targets.base import Allotment

    Setting = tuple[str, str]

_STATE = "/run/lxc"  # of locks; no option moves it
_NEEDED = ("cpu", "memory", "pids")
_UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers")
_APPARMOR = Path("/sys/module/apparmor")
_PAUSE_SECONDS = 0.02
# A device that LXC makes in /dev, for reading and writing; any device may be made. (devices.rst)
_DEVICES = ("c *:* m", "b *:* m", *(f"c {number} rwm" for number in
            ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:2", "136:*")))  # fmt: skip
_MOUNTED = (
    "tmpfs dev/shm tmpfs nosuid,noexec,nodev,mode=1777,size=65536k,create=dir 0 0",
    "mqueue dev/mqueue mqueue nosuid,noexec,nodev,create=dir 0 0",
)
# `lxc-start: NAME: ../src/lxc/start.c: lxc_spawn: 1833 ` before the words.
_ORIGIN = re.compile(r"^lxc-\w+: (?:\S+: )?\S+\.c: \w+: \d+ ")


class Lxc(command.CommandTarget):
    """LXC, which mounts the overlay itself."""

    name = "lxc"

    @classmethod
    def absent(cls) -> str:
        """Return the reason why LXC can't be used; empty if it can."""
        if missing := absent_program("lxc-start", "lxc"):
            return missing
        controllers = facts.cgroups().controllers
        if lacking := [name for name in _NEEDED if name not in controllers]:
            return f"the cgroups here have no usable controller for {', '.join(lacking)}"
        return ""

    def prepare(self) -> None:
        """Enter a private mount namespace, in which LXC's locks are private as well."""
        super().prepare()
        self.command = ()  # a program for each verb
        mount_namespace.enter_private_mount_namespace()
        self.cover(_STATE)

    def run_words(self, identity: str, allotment: Allotment) -> Sequence[str]:
        """Write the container's configuration, and return `lxc-start --foreground` with it."""
        settings = (
            *self._root_settings(self.instances / identity),
            *_settings(),
            ("lxc.cgroup.dir.container", identity),
            ("lxc.cgroup.dir.monitor", f"{identity}-monitor"),
            ("lxc.cgroup.dir.monitor.pivot", self.family),
            *_limits(allotment, unified=_UNIFIED.exists()),
        )
        lines = [f"{key} = {value}\n" for key, value in settings]
        (self.instances / identity / "config").write_text("".join(lines), encoding="utf-8")
        words = self.settings.userland.serve_words(identity)
        return ("lxc-start", *self._named(identity), "--foreground", "--", *words)

    def _named(self, identity: str) -> tuple[str, ...]:
        return f"--lxcpath={self.instances}", f"--name={identity}"

    def _root_settings(self, directory: Path) -> Iterator[Setting]:
        """Yield the root file system; LXC adds `work` beside `upper`."""
        tree = self.settings.userland.tree
        yield "lxc.rootfs.path", f"overlay:{tree}:{directory}/upper"

    def kill_words(self, identity: str) -> Sequence[str]:
        """Return the arguments that kill the payload; `lxc-start` then cleans up and exits."""
        return "lxc-stop", *self._named(identity), "--kill"

    def remove_words(self, identity: str) -> Sequence[str]:
        """Return the arguments that kill what is left: lxc-destroy would remove the tree too."""
        return self.kill_words(identity)

    def kill(self, instance: command.CommandInstance) -> None:
        """Kill an instance, whose monitor takes commands a few milliseconds after its start.

        Give up after seconds; the instance then kills the monitor, and its container with it.
        """
        deadline = time.monotonic() + command.STOP_SECONDS / 4
        while instance.process.poll() is None and time.monotonic() < deadline:
            try:
                self.tool(
                    *self.kill_words(instance.identity), deadline_seconds=command.STOP_SECONDS
                )
            except TargetFailed:
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def error_words(self, stderr: bytes) -> str:
        """Return the first line of the error output: LXC prints the cause before its effects."""
        lines = stderr.decode(errors="replace").splitlines()
        return next((_ORIGIN.sub("", line).strip() for line in lines if line.strip()), "")

    def image_paths(self) -> list[Path]:
        """Return the unpacked layer."""
        return [self.settings.userland.tree]

    def instance_paths(self, instance: command.CommandInstance) -> Iterable[Path]:
        """Return its configuration, its log and its layer."""
        return command.on_disk(instance.directory)


class LxcDirectory(Lxc):
    """LXC on a directory, on which the overlay is mounted before the start."""

    name = "lxc-dir"

    def _root_settings(self, directory: Path) -> Iterator[Setting]:
        """Mount the overlay, and yield its directory."""
        oci.mount_layers(directory, self.settings.userland.layers)
        yield "lxc.rootfs.path", f"dir:{directory}/rootfs"

    def settle(self, directory: Path) -> None:
        """Unmount the overlay in the worker; the container has its own copy of the mount."""
        oci.unmount_layers(directory)

    def discard(self, directory: Path) -> None:
        """Unmount the overlay and remove the directory."""
        self.settle(directory)
        super().discard(directory)


def _settings() -> Iterator[Setting]:
    """Yield the settings that are the same for all instances. (lxc.container.conf(5))"""
    yield "lxc.uts.name", "tonnage"
    yield "lxc.net.0.type", "empty"
    yield "lxc.net.0.flags", "up"  # of the loopback device
    yield "lxc.console.path", "none"  # the payload's pipes stay its stdin and stdout
    yield "lxc.tty.max", "0"
    yield "lxc.mount.auto", "proc:mixed sys:ro cgroup:ro:force"
    for mounted in _MOUNTED:
        yield "lxc.mount.entry", mounted
    kept = (name.removeprefix("CAP_").lower() for name in oci.CAPABILITIES)
    yield "lxc.cap.keep", " ".join(kept)
    if _APPARMOR.exists():
        yield "lxc.apparmor.profile", "unconfined"


def _limits(allotment: Allotment, *, unified: bool) -> Iterator[Setting]:
    """Yield the limits, of cgroup version 2 (`unified`) or of version 1."""
    quota, period = allotment.cpu_quota_microseconds, base.CPU_PERIOD_MICROSECONDS
    if unified:
        version = "lxc.cgroup2"
        yield f"{version}.memory.max", str(allotment.memory_bytes)
        yield f"{version}.cpu.max", f"{quota} {period}"
    else:
        version = "lxc.cgroup"
        yield f"{version}.memory.limit_in_bytes", str(allotment.memory_bytes)
        yield f"{version}.cpu.cfs_period_us", str(period)
        yield f"{version}.cpu.cfs_quota_us", str(quota)
    yield f"{version}.pids.max", str(allotment.pids)
    yield f"{version}.devices.deny", "a"
    for device in _DEVICES:
        yield f"{version}.devices.allow", device
