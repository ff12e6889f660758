"""docker, by `docker run`: the daemon that answers, else one of our own.

A daemon of our own has its data under the scratch folder and its state in a mount namespace of the
worker's own, makes no bridge and no firewall rule, and ends with the worker. Everything else is
docker's default, seccomp profile included.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.host import mount_namespace
from lab.host.disk_usage import allocated_bytes
from lab.paths import PAYLOAD_IN_TREE
from lab.targets import leftovers
from lab.targets.containers import command
from lab.targets.programs import absent_program, last_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.targets.base import Allotment

_DEFAULT_HOST = "unix:///var/run/docker.sock"
# A key, plugins and the shims' sockets, which stay there whatever the options; and daemon.json,
# which is meant for another daemon.
_FIXED = ("/etc/docker", "/opt/containerd", "/run/containerd", "/run/docker")
# docker with containerd's image store does not say where a layer lies.
_UPPER = "{{with .GraphDriver}}{{with .Data}}{{.UpperDir}}{{end}}{{end}}"
_CONNECT_SECONDS = 1.0
_POLL_SECONDS = 0.02
_DAEMON_SECONDS = 60.0


class Docker(command.CommandTarget):
    """docker with the storage driver of its daemon."""

    name = "docker"

    @classmethod
    def absent(cls) -> str:
        """What keeps docker from running here; no daemon is started to find out."""
        if missing := absent_program("docker", "docker.io"):
            return missing
        unusable = _unusable(_host())
        if not unusable or os.environ.get("DOCKER_HOST"):
            return unusable
        if shutil.which("dockerd"):
            return ""
        return "no docker daemon answers and dockerd is not installed: apt-get install docker.io"

    def prepare(self) -> None:
        """Find or start the daemon, and import the image."""
        super().prepare()
        host = self._start_daemon() if _unusable(_host()) else _host()
        self.command = ("docker", f"--host={host}")
        self._image = f"{self.family}:latest"
        self.tool("import", str(self.settings.userland.image), self._image)
        self.resources.callback(self.tool, "image", "rm", "--force", self._image, check=False)

    def _start_daemon(self) -> str:
        """Start dockerd, and return the address at which it answers.

        Raises LabError with its last words if it does not.
        """
        mount_namespace.enter_private_mount_namespace()
        self.cover(*_FIXED)
        state = Path("/run/docker") / self.family  # short: the paths of sockets have a limit
        host = f"unix://{state}/docker.sock"
        # Under a name of its own, since runc refuses a root with a link in its path.
        data, seen = self.directory / "data", state.with_name(f"{self.family}-data")
        for path in (data, seen):
            path.mkdir()
        mount_namespace.bind(data, seen)
        self.resources.callback(mount_namespace.unmount, seen)
        log = self.directory / "dockerd.log"
        with log.open("wb") as output:
            daemon = subprocess.Popen(
                [
                    "dockerd",
                    f"--host={host}",
                    f"--data-root={seen}",
                    f"--exec-root={state}",
                    f"--pidfile={self.directory}/dockerd.pid",
                    f"--cgroup-parent=/{self.family}",
                    "--exec-opt=native.cgroupdriver=cgroupfs",
                    "--bridge=none",
                    "--iptables=false",
                    "--ip6tables=false",
                    "--ip-forward=false",
                    "--ip-masq=false",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.resources.callback(_end_daemon, daemon)
        deadline = time.monotonic() + _DAEMON_SECONDS
        while _unusable(host):
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"dockerd did not come up: {last_words(log.read_bytes())}")
            time.sleep(_POLL_SECONDS)
        return host

    def run_words(self, identity: str, allotment: Allotment) -> Sequence[str]:
        """`run --rm` with a network namespace that holds a loopback and nothing else."""
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
            self._image,
            PAYLOAD_IN_TREE,
            "serve",
            identity,
        )

    def unpacked_bytes(self) -> int:
        """What the image's layer takes; by docker's own count if it does not say where it lies."""
        layer = self.tool("image", "inspect", f"--format={_UPPER}", self._image)
        if layer:
            return allocated_bytes(Path(layer))
        return int(self.tool("image", "inspect", "--format={{.Size}}", self._image))

    def instance_paths(self, instance: command.CommandInstance) -> Iterable[Path]:
        """Its layer, the layer under it that docker's init files take, its configuration."""
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
        """End and remove what dead workers left, their daemons included."""
        done = super().clean(scratch)
        if absent_program("docker", "docker.io") or _unusable(_host()):
            return done
        done += _removed("container", "--all", "--format={{.Names}}")
        return done + _removed("image", "--format={{.Repository}}")


def _host() -> str:
    """The address of the daemon that the user's docker commands speak to."""
    return os.environ.get("DOCKER_HOST") or _DEFAULT_HOST


def _unusable(host: str) -> str:
    """Why the daemon at that address can't be measured, in a sentence; empty if it can."""
    scheme, _, path = host.partition("://")
    if scheme != "unix":
        return f"the docker daemon at {host} is not on this host: unset DOCKER_HOST"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_CONNECT_SECONDS)
        try:
            connection.connect(path)
        except OSError as error:
            return f"no docker daemon answers at {host}: {error.strerror or error}"
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, _, _ = struct.unpack("3i", credentials)
    # A process of another PID namespace has no number here. (unix(7), pid_namespaces(7))
    return "" if pid else f"the docker daemon at {host} is outside this container"


def _end_daemon(daemon: subprocess.Popen[bytes]) -> None:
    """End dockerd, which ends its containerd."""
    daemon.terminate()
    try:
        daemon.wait(_DAEMON_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _removed(kind: str, *listing: str) -> list[str]:
    """Remove what dead workers left of a kind of object with a daemon that lives on."""
    docker = ("docker", f"--host={_host()}", kind)
    names = [
        name for name in _said(*docker, "ls", *listing).split() if leftovers.is_left_by_dead(name)
    ]
    for name in names:
        _said(*docker, "rm", "--force", name)
    return [f"removed {kind} {name} from docker" for name in names]


def _said(*argv: str) -> str:
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_DAEMON_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout
