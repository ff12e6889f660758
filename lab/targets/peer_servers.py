"""What instances measure their network against: servers on the other end of the wire.

They run in a container of ours on the same user land, whatever the target is: the peer is no part
of what is compared.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.network.isolated_network import PEER, IsolatedNetwork
from lab.paths import PAYLOAD_IN_TREE
from lab.targets.base import PORT
from lab.targets.network_sharing import sharing_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.targets.base import Settings

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Servers:
    """What the peer runs, as a shell script, and the ports that are served then."""

    script: str
    ports: tuple[int, ...]


# Workloads name these ports; the programs are in the user land of those workloads alone.
MEASURING = Servers(
    "iperf3 --server --port 17301 >/dev/null 2>&1 &"
    " exec sockperf server --tcp -p 17302 >/dev/null 2>&1",
    (17301, 17302),
)
# The payload, which ends with its stdin.
ANSWERING = Servers(f"sleep infinity | {PAYLOAD_IN_TREE} serve peer >/dev/null", (PORT,))


@contextmanager
def wires(settings: Settings, servers: Servers = MEASURING) -> Iterator[IsolatedNetwork]:
    """A network whose peer has those servers. Raises LabError."""
    import runtime

    with IsolatedNetwork() as made, Path(os.devnull).open("r+b") as nothing:
        with made.at_peer():
            try:
                container = runtime.Container.run(
                    f"tonnage-peer-{os.getpid()}",
                    sharing_network(runtime.default_spec(args=["sh", "-c", servers.script])),
                    layers=[settings.userland.tree],
                    stdin=nothing.fileno(),
                    stdout=nothing.fileno(),
                    stderr=nothing.fileno(),
                    root=settings.scratch / "containers",
                )
            except runtime.ContainerError as error:
                raise LabError(f"The peer of the network did not start: {error}") from error
        with container:
            with made.at_host():
                for port in servers.ports:
                    _await(port)
            yield made
            container.kill_all(signal.SIGKILL)


def _await(port: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            socket.create_connection((PEER, port), timeout=1).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise LabError(f"The network's peer does not serve port {port}.") from error
            time.sleep(0.02)
        else:
            return
