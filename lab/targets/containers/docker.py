"""docker, by `docker run`, with the daemon of the host or else a private daemon.

A private daemon has its data in the scratch directory and its state in the worker's mount
namespace, makes no bridge and no firewall rules, and ends with the worker. Everything else is
docker's default, the seccomp profile included.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from lab.host import mount_namespace
from lab.host.disk_usage import allocated_bytes
from lab.targets import leftovers
from lab.targets.containers import command, docker_daemon
from lab.targets.programs import absent_program

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.targets.base import Allotment

_DEFAULT_HOST = "unix:///var/run/docker.sock"
# Directories that no option moves: a key, plugins, the shims' sockets, and a daemon.json that is
# meant for the host's daemon.
_FIXED = ("/etc/docker", "/opt/containerd", "/run/containerd", "/run/docker")
# Empty if docker uses containerd's image store, which does not reveal the directory of a layer.
_UPPER = "{{with .GraphDriver}}{{with .Data}}{{.UpperDir}}{{end}}{{end}}"
# The same for the layers of an image, separated by colons.
_LAYERS = (
    "{{with .GraphDriver}}{{with .Data}}{{.UpperDir}}{{with .LowerDir}}:{{.}}{{end}}{{end}}{{end}}"
)


class Docker(command.CommandTarget):
    """docker, with the storage driver of its daemon."""

    name = "docker"
    image_refusal = ""

    @classmethod
    def absent(cls) -> str:
        """Return the reason why docker can't be used; no daemon is started to find out."""
        if missing := absent_program("docker", "docker.io"):
            return missing
        unusable = docker_daemon.unusable(_host())
        if not unusable or os.environ.get("DOCKER_HOST"):
            return unusable
        if shutil.which("dockerd"):
            return ""
        return "no docker daemon answers, and dockerd is not installed: apt-get install docker.io"

    def prepare(self) -> None:
        """Find or start a daemon, and import or load the image."""
        super().prepare()
        host = self._start_daemon() if docker_daemon.unusable(_host()) else _host()
        self.command = ("docker", f"--host={host}")
        self._image = f"{self.family}:latest"
        land = self.settings.userland
        if land.application:
            loaded = land.archived_name
            self.tool("load", "--quiet", f"--input={land.archive}")
            self.tool("tag", loaded, self._image)
            self.tool("image", "rm", loaded)
        else:
            self.tool("import", str(land.image), self._image)
        self.resources.callback(self.tool, "image", "rm", "--force", self._image, check=False)

    def _start_daemon(self) -> str:
        """Start dockerd and return its address. Raise TargetFailed if it does not come up."""
        mount_namespace.enter_private_mount_namespace()
        self.cover(*_FIXED)
        # Bound to another path, since runc refuses a root with a symbolic link in its path.
        data, seen = self.directory / "data", Path("/run/docker") / f"{self.family}-data"
        for path in (data, seen):
            path.mkdir()
        mount_namespace.bind(data, seen)
        self.resources.callback(mount_namespace.unmount, seen)
        daemon = docker_daemon.running(self.directory, seen, self.family)
        return self.resources.enter_context(daemon)

    def run_words(self, identity: str, allotment: Allotment) -> Sequence[str]:
        """Return `run --rm` with a network namespace that has only a loopback device."""
        return (
            "run",
            "--rm",
            "--interactive",
            "--network=none",
            "--pull=never",
            f"--memory={allotment.memory_bytes}",
            f"--cpus={allotment.cpus:g}",
            f"--pids-limit={allotment.pids}",
            f"--name={identity}",
            *self.engine_words(self._image, identity),
        )

    def unpacked_bytes(self) -> int:
        """Return the bytes of the image's layers, or docker's own count if it hides them."""
        layers = self.tool("image", "inspect", f"--format={_LAYERS}", self._image)
        if layers:
            return sum(allocated_bytes(Path(layer)) for layer in layers.split(":"))
        return int(self.tool("image", "inspect", "--format={{.Size}}", self._image))

    def instance_paths(self, instance: command.CommandInstance) -> Iterable[Path]:
        """Yield its configuration, its layer, and the layer below for docker's init files."""
        words = self.tool(
            "container", "inspect", f"--format={{{{.ResolvConfPath}}}} {_UPPER}", instance.identity
        ).split()
        configuration, *layers = (Path(word).parent for word in words)
        yield configuration
        for layer in layers:
            yield from command.on_disk(layer)
            yield layer.with_name(f"{layer.name}-init")

    @classmethod
    def clean(cls, scratch: Path) -> list[str]:
        """Remove the objects of dead workers: their daemons, and their containers and images."""
        actions = super().clean(scratch)
        if absent_program("docker", "docker.io") or docker_daemon.unusable(_host()):
            return actions
        actions += _remove("container", "--all", "--format={{.Names}}")
        return actions + _remove("image", "--format={{.Repository}}")


def _host() -> str:
    """Return the address of the daemon that the user's docker commands use."""
    return os.environ.get("DOCKER_HOST") or _DEFAULT_HOST


def _remove(kind: str, *listing: str) -> list[str]:
    """Remove objects of dead workers from the host's daemon; return a line for each."""
    docker = ("docker", f"--host={_host()}", kind)
    names = [
        name for name in _output(*docker, "ls", *listing).split() if leftovers.is_left_by_dead(name)
    ]
    for name in names:
        _output(*docker, "rm", "--force", name)
    return [f"removed {kind} {name} from docker" for name in names]


def _output(*argv: str) -> str:
    try:
        result = subprocess.run(
            argv,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=docker_daemon.SECONDS,
        )
    except subprocess.TimeoutExpired:
        return ""
    return result.stdout
