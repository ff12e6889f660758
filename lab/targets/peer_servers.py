"""Servers at the peer of an isolated network, for measuring an instance's network.

They run in a container of the lab's runtime on the same user land, whatever the target: the peer is
the same for all targets that are compared.
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

from lab.errors import TargetFailed
from lab.network.isolated_network import PEER, IsolatedNetwork
from lab.paths import PAYLOAD_IN_TREE
from lab.targets.network_sharing import sharing_network
from vms.guest.payload_protocol import TCP_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.targets.base import Settings

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Servers:
    """A shell script that starts servers, and the ports that they listen on."""

    script: str
    ports: tuple[int, ...]


# Workloads use these ports. The programs are only in a user land with the network workloads.
MEASURING = Servers(
    "iperf3 --server --port 17301 >/dev/null 2>&1 &"
    " exec sockperf server --tcp -p 17302 >/dev/null 2>&1",
    (17301, 17302),
)
# The payload exits at the end of its stdin.
ANSWERING = Servers(f"sleep infinity | {PAYLOAD_IN_TREE} serve peer >/dev/null", (TCP_PORT,))


@contextmanager
def network_with_peer(
    settings: Settings, servers: Servers = MEASURING
) -> Iterator[IsolatedNetwork]:
    """Make an isolated network whose peer runs the servers. Raise LabError."""
    import runtime

    with IsolatedNetwork() as network, Path(os.devnull).open("r+b") as null:
        with network.at_peer():
            try:
                container = runtime.Container.run(
                    f"tonnage-peer-{os.getpid()}",
                    sharing_network(runtime.default_spec(args=["sh", "-c", servers.script])),
                    layers=[settings.userland.tree],
                    stdin=null.fileno(),
                    stdout=null.fileno(),
                    stderr=null.fileno(),
                    root=settings.scratch / "containers",
                )
            except runtime.ContainerError as error:
                raise TargetFailed(f"The peer of the network did not start: {error}") from error
        with container:
            with network.at_host():
                for port in servers.ports:
                    _await(port)
            yield network
            container.kill_all(signal.SIGKILL)


def _await(port: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            socket.create_connection((PEER, port), timeout=1).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise TargetFailed(
                    f"The peer of the network does not listen on port {port}."
                ) from error
            time.sleep(0.02)
        else:
            return
