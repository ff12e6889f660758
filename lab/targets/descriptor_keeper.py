"""A process that holds descriptors for a worker, so that the worker's own limit ends no filling.

The worker needs two pipes of each instance only to run commands in it; they must stay open all the
same, since a payload ends with its stdin. A keeper inherits them, and ends with its worker, so
that instances do not outlive it.
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


class Keeper:
    """Holds the pipes of instances until it is ended; they can't be handed commands any more."""

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
        self._process.stdout.read(1)  # it lives, and ends with this process
        for each in pipes:
            each.close()

    def end(self) -> None:
        """End it, and with it whatever payload still runs."""
        with self._process:
            self._process.kill()


def main() -> None:
    """Hold what was inherited."""
    end_with_parent(int(sys.argv[1]), signal.SIGKILL)
    sys.stdout.write(".")
    sys.stdout.flush()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
