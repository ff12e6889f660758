"""A docker daemon of our own: no bridge, no firewall rules, data and state in given directories."""

from __future__ import annotations

import socket
import struct
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import TargetFailed
from lab.targets.programs import end, last_words

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0  # to start, and to stop
_CONNECT_SECONDS = 1.0
_PAUSE_SECONDS = 0.02


@contextmanager
def running(directory: Path, data: Path, family: str, *options: str) -> Iterator[str]:
    """Run dockerd with further options, and yield its address.

    Its log is in `directory`. `data` must not have a symbolic link in its path: runc refuses it.
    /run/docker must belong to this mount namespace alone. Raise TargetFailed.
    """
    state = Path("/run/docker") / family  # short, since socket paths are limited
    host = f"unix://{state}/docker.sock"
    log = directory / "dockerd.log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [
                "dockerd",
                f"--host={host}",
                f"--data-root={data}",
                f"--exec-root={state}",
                f"--pidfile={directory}/dockerd.pid",
                f"--cgroup-parent=/{family}",
                "--exec-opt=native.cgroupdriver=cgroupfs",
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
                "--ip-masq=false",
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + SECONDS
        while unusable(host):
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise TargetFailed(f"dockerd did not come up: {last_words(log.read_bytes())}")
            time.sleep(_PAUSE_SECONDS)
        yield host
    finally:
        end(daemon, SECONDS)  # it then ends its containerd


def unusable(host: str) -> str:
    """Return the reason why the daemon at an address can't be measured; empty if it can."""
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
    # A process of another PID namespace is reported as pid 0. (unix(7), pid_namespaces(7))
    return "" if pid else f"the docker daemon at {host} is outside this container"
