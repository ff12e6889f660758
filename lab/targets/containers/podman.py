"""podman, by `podman run`, with private storage.

Nothing is shared with the user's containers: images and layers are in the scratch directory, and
the directories of podman's state are covered in the worker's mount namespace. The OCI runtime is
crun if it is installed, else runc. Everything else is podman's default: capabilities (fewer than
docker's), seccomp profile, log.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lab.host import mount_namespace
from lab.host.disk_usage import allocated_bytes
from lab.targets.containers import command
from lab.targets.containers.oci import hide_unified_hierarchy
from lab.targets.programs import absent_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.targets.base import Allotment

# Directories that no option moves: locks, a cache of image layers, and the runtime's state.
_FIXED = ("/dev/shm", "/var/lib/containers", "/run/crun", "/run/runc")
_RUN_ROOT = "/run/containers"  # podman refuses a path of more than 50 characters
_TEMPORARY = "/run/libpod"
_SYSTEMD = Path("/run/systemd/system")  # sd_booted(3)


class Podman(command.CommandTarget):
    """podman, with the overlay storage driver."""

    name = "podman"
    image_refusal = ""

    @classmethod
    def absent(cls) -> str:
        """Return the reason why podman can't be used; empty if it can."""
        return absent_program("podman", "podman")

    def prepare(self) -> None:
        """Import or load the image into a private store."""
        super().prepare()
        mount_namespace.enter_private_mount_namespace()
        self.cover(*_FIXED, _RUN_ROOT, _TEMPORARY)
        hide_unified_hierarchy()
        self._root = self.directory / "root"
        self._systemd = _SYSTEMD.is_dir()
        self.command = (
            "podman",
            f"--root={self._root}",
            f"--runroot={_RUN_ROOT}/storage",
            f"--tmpdir={_TEMPORARY}",
            f"--runtime={'crun' if shutil.which('crun') else 'runc'}",
            "--storage-driver=overlay",
            *(() if self._systemd else ("--cgroup-manager=cgroupfs", "--events-backend=file")),
        )
        land = self.settings.userland
        if land.application:
            self.tool("load", "--quiet", f"--input={land.archive}")
            self._image = land.archived_name
        else:
            self._image = f"localhost/{self.family}:latest"
            self.tool("import", "--quiet", str(land.image), self._image)
        self._unpacked_bytes = allocated_bytes(self._root)

    def run_words(self, identity: str, allotment: Allotment) -> Sequence[str]:
        """Return `run --rm` with a network namespace that has only a loopback device."""
        return (
            "run",
            "--rm",
            "--interactive",
            "--network=none",
            "--pull=never",
            # podman's default limits need CAP_SYS_RESOURCE; these can be set everywhere.
            "--ulimit=nofile=1024:1024",
            "--ulimit=nproc=1024:1024",
            f"--memory={allotment.memory_bytes}",
            f"--cpus={allotment.cpus:g}",
            f"--pids-limit={allotment.pids}",
            *(() if self._systemd else (f"--cgroup-parent=/{self.family}",)),
            f"--name={identity}",
            *self.engine_words(self._image, identity),
        )

    def unpacked_bytes(self) -> int:
        """Return the size of the store after the image was imported."""
        return self._unpacked_bytes

    def instance_paths(self, instance: command.CommandInstance) -> Iterable[Path]:
        """Return its layer and its directory in the store."""
        template = "{{.GraphDriver.Data.UpperDir}} {{.StaticDir}}"
        words = self.tool("container", "inspect", f"--format={template}", instance.identity).split()
        return (path for word in words for path in command.on_disk(Path(word).parent))
