"""A registry on loopback, with storage of its own: Debian's docker-registry."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.errors import TargetFailed
from lab.targets.programs import absent_program, end, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK = "127.0.0.1"
_PROGRAM = "docker-registry"
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_PAUSE_SECONDS = 0.02
_CONFIGURATION = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: "{data}"}}}}
http: {{addr: "{address}:{port}"}}
"""


def absent() -> str:
    """Return the reason why no registry can be run here; empty if one can."""
    return absent_program(_PROGRAM, "docker-registry")


@contextmanager
def running(directory: Path, data: Path) -> Iterator[str]:
    """Run a registry that keeps its blobs in `data`, and yield HOST:PORT.

    Its configuration is in `directory`, whose name shows whose registry it is. Raise TargetFailed
    if it does not come up.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    configuration = directory / f"registry-{port}.yml"
    text = _CONFIGURATION.format(data=data, address=LOOPBACK, port=port)
    configuration.write_text(text, encoding="utf-8")
    with subprocess.Popen(
        [_PROGRAM, "serve", str(configuration)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _await(process, port)
            yield f"{LOOPBACK}:{port}"
        finally:
            end(process, _STOP_SECONDS)


def _await(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise TargetFailed(f"{_PROGRAM} did not come up on port {port}.")
        time.sleep(_PAUSE_SECONDS)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
