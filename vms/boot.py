"""What "started" means: lines that arrive from inside, stamped as they do."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from vms.errors import BootTimeout, MachineError

if TYPE_CHECKING:
    from pathlib import Path

# A guest may say as much as it likes: what is kept of it is bounded.
_KEPT_LINES, _KEPT_WORDS, _LONGEST_LINE = 1000, 1000, 4096
_PANIC = re.compile(r"Kernel panic - not syncing.*")


def connected(port: Path | socket.socket) -> socket.socket:
    """A machine's port, connected to, or handed over as it is. Raises MachineError."""
    if isinstance(port, socket.socket):
        return port
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.connect(str(port))
    except OSError as error:
        line.close()
        raise MachineError(f"Can't connect to {port}: {error.strerror}.") from error
    return line


class LineReader:
    """A serial port's lines, each with the host's CLOCK_MONOTONIC at its first byte's arrival.

    Reads block; nothing polls. A line that came while nobody waited is stamped when it is read: so
    wait for what comes first, first. The last thousand lines are kept, the first 4 KiB of each. A
    context manager that closes the socket.
    """

    def __init__(self, port: Path | socket.socket) -> None:
        self._socket = connected(port)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._partial = b""
        self._begun_ns = 0
        self._lines: deque[tuple[int, str]] = deque(maxlen=_KEPT_LINES)
        self._seen: dict[str, int] = {}
        self._panic = ""

    def ask_again(self) -> None:
        """Ask for what was said before we listened: the agent's events are then said once more."""
        with contextlib.suppress(OSError):
            self._socket.sendall(b"\n")

    def wait_for(self, word: str, deadline_ns: int) -> int:
        """When the line arrived whose first word this is; other lines are kept for later.

        Raises BootTimeout past the deadline, or if the machine closes the port.
        """
        while word not in self._seen:
            arrived_ns, line = self.line(deadline_ns)
            first, *_ = line.split() or [""]
            self._seen.setdefault(first, arrived_ns)
            if len(self._seen) > _KEPT_WORDS:
                del self._seen[next(known for known in self._seen if known != word)]
        return self._seen[word]

    def line(self, deadline_ns: int) -> tuple[int, str]:
        """The next line and when it arrived. Raises BootTimeout."""
        while not self._lines:
            left_ms = max(0, deadline_ns - time.monotonic_ns()) // 1_000_000
            if not self._poll.poll(left_ms):
                raise BootTimeout(self.panic or "the deadline passed before it said so.")
            now_ns = time.monotonic_ns()
            data = self._socket.recv(65536)
            if not data:
                raise BootTimeout(self.panic or "it ended before it said so.")
            self._take(data, now_ns)
        return self._lines.popleft()

    @property
    def panic(self) -> str:
        """What the guest's kernel panicked of, as a sentence; empty if that was not heard."""
        with contextlib.suppress(OSError):
            while self._poll.poll(0) and (data := self._socket.recv(65536)):
                self._take(data, time.monotonic_ns())
        return self._panic

    def _take(self, data: bytes, now_ns: int) -> None:
        if not self._partial:
            self._begun_ns = now_ns
        *whole, self._partial = (self._partial + data).split(b"\n")
        for raw in whole:
            line = raw[:_LONGEST_LINE].decode(errors="replace").strip("\r")
            self._lines.append((self._begun_ns, line))
            self._begun_ns = now_ns
            if not self._panic and (said := _PANIC.search(line)):
                self._panic = f"the guest's kernel panicked: {said[0]}"
        self._partial = self._partial[:_LONGEST_LINE]

    def close(self) -> None:
        """Close the socket."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
