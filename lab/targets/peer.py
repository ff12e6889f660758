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
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.targets.wires import PEER, Wires

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.targets.base import Settings

STREAM_PORT, ROUND_TRIP_PORT = 17301, 17302  # workloads name them
_SERVE = (
    f"iperf3 --server --port {STREAM_PORT} >/dev/null 2>&1 &"
    f" exec sockperf server --tcp -p {ROUND_TRIP_PORT} >/dev/null 2>&1"
)
_SECONDS = 10.0


@contextmanager
def wires(settings: Settings) -> Iterator[Wires]:
    """A network whose peer serves iperf3 and sockperf. Raises LabError."""
    import runtime
    from lab.targets.container import sharing_network

    with Wires() as made, Path(os.devnull).open("r+b") as nothing:
        with made.at_peer():
            try:
                container = runtime.Container.run(
                    f"tonnage-peer-{os.getpid()}",
                    sharing_network(runtime.default_spec(args=["sh", "-c", _SERVE])),
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
                for port in (STREAM_PORT, ROUND_TRIP_PORT):
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
