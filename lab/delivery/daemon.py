"""A docker daemon for one measurement: its own data, no bridge and no firewall rules."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lab.delivery.registry import end
from lab.errors import TargetFailed
from lab.targets.programs import last_words

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_SECONDS = 60.0
_STOP_SECONDS = 60.0
_PAUSE_SECONDS = 0.05


@contextmanager
def running(directory: Path, family: str) -> Iterator[str]:
    """Run dockerd with its data in `directory`, and yield its address.

    /run/docker must belong to this mount namespace alone. Raise TargetFailed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    state = Path("/run/docker") / family  # short, since socket paths are limited
    state.mkdir(parents=True)
    host = f"unix://{state}/docker.sock"
    log = directory / "log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [
                "dockerd",
                f"--host={host}",
                f"--data-root={directory.resolve()}/data",  # runc refuses links in paths
                f"--exec-root={state}",
                f"--pidfile={directory}/pid",
                f"--cgroup-parent=/{family}",
                "--exec-opt=native.cgroupdriver=cgroupfs",
                "--insecure-registry=127.0.0.0/8",  # today its default
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
    try:
        _await(daemon, host, log)
        yield host
    finally:
        end(daemon, _STOP_SECONDS)


def _await(daemon: subprocess.Popen[bytes], host: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    words = ["docker", f"--host={host}", "version"]
    while subprocess.run(words, capture_output=True, check=False).returncode:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise TargetFailed(f"dockerd did not come up: {last_words(log.read_bytes())}")
        time.sleep(_PAUSE_SECONDS)
