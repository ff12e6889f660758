"""A process that holds pipes for a worker, so that the worker's descriptor limit ends no filling.

The worker needs the two pipes of an instance only to run commands in it, but they must stay open,
since a payload exits at the end of its stdin. A keeper process inherits them. It ends with its
worker, so that no instance outlives the worker.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from lab.host.processes import end_with_parent
from lab.targets.payload_pipes import PipeInstance

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.targets.base import Instance


class DescriptorKeeper:
    """Holds the pipes of instances until `end`; they can't run commands any more."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        pipes = [
            instance.pipes
            for instance in instances
            if isinstance(instance, PipeInstance) and not instance.pipes.is_closed
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=[descriptor for each in pipes for descriptor in each.descriptors],
        )
        assert self._process.stdout
        self._process.stdout.read(1)  # the process is up, and will end with this one
        for each in pipes:
            each.close()

    def end(self) -> None:
        """End the process, and with it all payloads that still run."""
        with self._process:
            self._process.kill()


def main() -> None:
    """Hold the inherited descriptors until a signal."""
    end_with_parent(int(sys.argv[1]), signal.SIGKILL)
    sys.stdout.write(".")
    sys.stdout.flush()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
