"""The configuration that every measured OCI runtime gets, and bundles made from it.

It is equivalent to docker's default: all namespaces, limits on memory, CPU and processes, default
capabilities, docker's seccomp profile, masked and read-only paths. The root file system, an overlay
over the common user land, is mounted before anything is timed.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lab.host import mount_namespace
from lab.paths import PAYLOAD_IN_TREE
from runtime.spec import docker_profile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMORY_BYTES = 1 << 30
CPU_PERIOD_MICROSECONDS = 100_000
PIDS = 256
NAMESPACES = ("pid", "network", "ipc", "uts", "mount", "cgroup")


def config(identity: str, args: list[str]) -> dict[str, Any]:
    """Return the config.json of a container that runs the payload with these arguments."""
    sets = dict.fromkeys(("bounding", "effective", "permitted"), docker_profile.CAPABILITIES)
    return {
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "hostname": "tonnage",
        "mounts": [
            _mount("/proc", "proc", "nosuid", "noexec", "nodev"),
            _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            _mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666",
                   "mode=0620"),
            _mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k"),
            _mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
            _mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
            _mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"),
        ],
        "process": {
            "args": [PAYLOAD_IN_TREE, *args],
            "cwd": "/",
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "user": {"uid": 0, "gid": 0},
            "capabilities": sets,
            "noNewPrivileges": False,
        },
        "linux": {
            "namespaces": [{"type": kind} for kind in NAMESPACES],
            "cgroupsPath": f"/{identity}",
            "resources": {
                "devices": [{"allow": False, "access": "rwm"}],
                "memory": {"limit": MEMORY_BYTES},
                "cpu": {"quota": 2 * CPU_PERIOD_MICROSECONDS, "period": CPU_PERIOD_MICROSECONDS},
                "pids": {"limit": PIDS},
            },
            "seccomp": docker_profile.seccomp(),
            "maskedPaths": docker_profile.MASKED_PATHS,
            "readonlyPaths": docker_profile.READONLY_PATHS,
        },
    }  # fmt: skip


def _mount(destination: str, kind: str, *options: str) -> dict[str, object]:
    return {"destination": destination, "type": kind, "source": kind, "options": list(options)}


@contextmanager
def bundle(directory: Path, tree: Path, identity: str, args: list[str]) -> Iterator[Path]:
    """Make a bundle and mount its root file system, in this process's own mount namespace."""
    path = directory / identity
    for name in ("upper", "work", "rootfs"):
        (path / name).mkdir(parents=True)
    layers = f"lowerdir={tree},upperdir={path}/upper,workdir={path}/work"
    mount_namespace.mount("overlay", path / "rootfs", layers)
    (path / "config.json").write_text(json.dumps(config(identity, args)))
    yield path
    mount_namespace.unmount(path / "rootfs")
