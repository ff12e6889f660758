"""What "started" means: lines that arrive from inside, stamped as they do."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import TYPE_CHECKING, Self

from vms.errors import BootTimeout, MachineError

if TYPE_CHECKING:
    from pathlib import Path


class LineReader:
    """A serial port's lines, each with the host's CLOCK_MONOTONIC at its first byte's arrival.

    Reads block; nothing polls. A line that came while nobody waited is stamped when it is read: so
    wait for what comes first, first. A context manager that closes the socket.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise MachineError(f"Can't connect to {path}: {error.strerror}.") from error
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._partial = b""
        self._begun_ns = 0
        self._lines: list[tuple[int, str]] = []
        self._seen: dict[str, int] = {}

    def wait_for(self, word: str, deadline_ns: int) -> int:
        """When the line arrived whose first word this is; other lines are kept for later.

        Raises BootTimeout past the deadline, or if the machine closes the port.
        """
        while word not in self._seen:
            arrived_ns, line = self.line(deadline_ns)
            first, *_ = line.split() or [""]
            self._seen.setdefault(first, arrived_ns)
        return self._seen[word]

    def line(self, deadline_ns: int) -> tuple[int, str]:
        """The next line and when it arrived. Raises BootTimeout."""
        while not self._lines:
            left_ms = max(0, deadline_ns - time.monotonic_ns()) // 1_000_000
            if not self._poll.poll(left_ms):
                raise BootTimeout("the deadline passed before it said so.")
            now_ns = time.monotonic_ns()
            data = self._socket.recv(65536)
            if not data:
                raise BootTimeout("it ended before it said so.")
            self._take(data, now_ns)
        return self._lines.pop(0)

    def _take(self, data: bytes, now_ns: int) -> None:
        if not self._partial:
            self._begun_ns = now_ns
        *whole, self._partial = (self._partial + data).split(b"\n")
        for line in whole:
            self._lines.append((self._begun_ns, line.decode(errors="replace").strip("\r")))
            self._begun_ns = now_ns

    def close(self) -> None:
        """Close the socket."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
