"""OCI runtimes (crun, runc and those that the user names), by their command line.

The comparison favours them. Their root file system, an overlay over the common tree, is mounted and
config.json is written before t0, whereas the lab's own runtime mounts its overlay during the timed
start. `run` stays in the foreground, which starts a little faster than `--detach`; in return the
tool's process stays with its container, and its memory counts.

The configuration equals the defaults of the lab's runtime: six new namespaces, docker's default
capabilities, masked and read-only paths, limits on memory, CPU and processes, no seccomp filter.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.host import mount_namespace
from lab.paths import IMAGE_DIRECTORY
from lab.targets import base
from lab.targets.containers import command
from lab.targets.programs import absent_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.targets.base import Allotment
    from lab.userland.build import Userland

_UNIFIED = Path("/sys/fs/cgroup/unified")

CAPABILITIES = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
]


def _mount(destination: str, kind: str, *options: str) -> dict[str, object]:
    return {"destination": destination, "type": kind, "source": kind, "options": list(options)}


# The parts of config.json that are the same for all instances. (OCI runtime-spec 1.0)
_CONFIG: dict[str, Any] = {
    "ociVersion": "1.0.2",
    "root": {"path": "rootfs"},
    "hostname": "tonnage",
    "mounts": [
        _mount("/proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"
        ),
        _mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
        _mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        _mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
        _mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
    ],
    "process": {
        "user": {"uid": 0, "gid": 0},
        "cwd": "/",
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES),
        "noNewPrivileges": False,
    },
    "linux": {
        "namespaces": [
            {"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")
        ],
        "maskedPaths": [
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/proc/scsi",
            "/sys/firmware",
        ],
        "readonlyPaths": [
            "/proc/bus",
            "/proc/fs",
            "/proc/irq",
            "/proc/sys",
            "/proc/sysrq-trigger",
        ],
    },
}


def _resources(allotment: Allotment) -> dict[str, object]:
    return {
        "devices": [{"allow": False, "access": "rwm"}],
        "memory": {"limit": allotment.memory_bytes},
        "cpu": {
            "quota": allotment.cpu_quota_microseconds,
            "period": base.CPU_PERIOD_MICROSECONDS,
        },
        "pids": {"limit": allotment.pids},
    }


def _binds(land: Userland) -> list[dict[str, object]]:
    """Return the bind of the payload, which an image does not contain."""
    if not land.application:
        return []
    source = str(land.payload.parent)
    return [
        {
            "destination": IMAGE_DIRECTORY,
            "type": "bind",
            "source": source,
            "options": ["rbind", "ro"],
        }
    ]


class OciRuntime(command.CommandTarget):
    """A runtime with the command line of runc."""

    image_refusal = ""

    def prepare(self) -> None:
        """Enter a private mount namespace, in which all overlays are mounted."""
        super().prepare()
        self._state = self.directory / "state"
        self.command = (self.name, "--root", str(self._state))
        mount_namespace.enter_private_mount_namespace()

    def run_words(self, identity: str, allotment: Allotment) -> Sequence[str]:
        """Make the bundle, and return `run` with it: mount the overlay, write config.json."""
        bundle = self.instances / identity
        land = self.settings.userland
        mount_layers(bundle, land.layers)
        config = {
            **_CONFIG,
            "mounts": [*_CONFIG["mounts"], *_binds(land)],
            "process": {**_CONFIG["process"], "args": land.serve_words(identity)},
            "linux": {
                **_CONFIG["linux"],
                "cgroupsPath": f"/{identity}",
                "resources": _resources(allotment),
            },
        }
        (bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return "run", "--bundle", str(bundle), identity

    def kill_words(self, identity: str) -> Sequence[str]:
        """Return the arguments that kill the payload; `run` then deletes the container."""
        return "kill", identity, "KILL"

    def remove_words(self, identity: str) -> Sequence[str]:
        """Return the arguments that delete a container in any state."""
        return "delete", "--force", identity

    def settle(self, directory: Path) -> None:
        """Unmount the overlay in the worker; the container has its own copy of the mount.

        Every clone of a mount namespace copies all mounts: 800 overlays would nearly double the
        time of the next start.
        """
        unmount_layers(directory)

    def discard(self, directory: Path) -> None:
        """Unmount the overlay and remove the bundle."""
        self.settle(directory)
        super().discard(directory)

    def image_paths(self) -> list[Path]:
        """Return the unpacked layers."""
        return list(self.settings.userland.layers)

    def instance_paths(self, instance: command.CommandInstance) -> Iterable[Path]:
        """Return its bundle and the runtime's state."""
        return (*command.on_disk(instance.directory), self._state / instance.identity)


class Crun(OciRuntime):
    """crun, written in C."""

    name = "crun"

    @classmethod
    def absent(cls) -> str:
        """Return the reason why crun can't be used; empty if it can."""
        return absent_program("crun", "crun")

    def prepare(self) -> None:
        """Hide the cgroup layout that crun refuses."""
        super().prepare()
        hide_unified_hierarchy()


class NamedRuntime(OciRuntime):
    """A runtime that the user names, with its path (lab.targets.runtime_binaries)."""

    path: Path

    @classmethod
    def absent(cls) -> str:
        """Return a reason if this process is not root; empty if it is."""
        return "" if os.geteuid() == 0 else "it needs root"

    def prepare(self) -> None:
        """Hide the hybrid cgroup layout, which not every runtime knows."""
        super().prepare()
        self.command = (str(self.path), "--root", str(self._state))
        hide_unified_hierarchy()


class Runc(OciRuntime):
    """runc, written in Go; it accepts the hybrid cgroup layout."""

    name = "runc"

    @classmethod
    def absent(cls) -> str:
        """Return the reason why runc can't be used; empty if it can."""
        return absent_program("runc", "runc")


def named(name: str, path: Path) -> type[NamedRuntime]:
    """Return the target of the runtime with that path."""

    class Named(NamedRuntime):
        pass

    Named.name, Named.path = name, path
    return Named


def mount_layers(directory: Path, trees: Sequence[Path]) -> None:
    """Mount an overlay over the trees, topmost first, on `rootfs` in the directory."""
    for name in ("upper", "work", "rootfs"):
        (directory / name).mkdir()
    lower = ":".join(map(str, trees))
    layers = f"lowerdir={lower},upperdir={directory}/upper,workdir={directory}/work"
    mount_namespace.mount("overlay", directory / "rootfs", layers)


def unmount_layers(directory: Path) -> None:
    """Unmount the overlay of `mount_layers`, if it is mounted."""
    rootfs = directory / "rootfs"
    if rootfs.is_mount():
        mount_namespace.unmount(rootfs)


def hide_unified_hierarchy() -> None:
    """Unmount cgroup v2 of a hybrid host, which crun refuses, in the worker's mount namespace."""
    if _UNIFIED.is_mount():
        mount_namespace.unmount(_UNIFIED)
