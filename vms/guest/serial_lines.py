"""Lines from a guest's serial ports, each with the time of its arrival."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from vms.errors import BootTimeout
from vms.guest import reader_thread
from vms.guest.sockets import connected

if TYPE_CHECKING:
    from pathlib import Path

# A guest may print without end, so what is kept of it is bounded.
_KEPT_LINES, _KEPT_WORDS, _LONGEST_LINE = 1000, 1000, 4096
_BLOCK_BYTES = 65536
_PANIC = re.compile(r"(?<!end )Kernel panic - not syncing.*")


class LineReader:
    """Lines of a serial port, each with the host's CLOCK_MONOTONIC when its first byte arrived.

    Lines are read as they arrive, also while no caller waits. The last thousand are kept, the first
    4 KiB of each. A context manager that closes the socket.
    """

    def __init__(self, port: Path | socket.socket) -> None:
        self._socket = connected(port)
        self._changed = threading.Condition()
        self._partial = b""
        self._begun_ns = 0
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._arrivals: dict[str, int] = {}
        self._awaited: set[str] = set()
        self._panic, self._panic_ns = "", 0
        self._ended = False
        reader_thread.watch(self._socket.fileno(), self._read)

    def ask_again(self) -> None:
        """Ask the payload to repeat the events from before this connection."""
        with contextlib.suppress(OSError):
            self._socket.sendall(b"\n")

    def wait_for(self, word: str, deadline_ns: int) -> int:
        """Return the arrival time of the first line whose first word is `word`.

        Raises BootTimeout past the deadline, or if the machine closes the port.
        """
        with self._changed:
            self._read()
            self._awaited.add(word)
            left_seconds = (deadline_ns - time.monotonic_ns()) / 1e9
            self._changed.wait_for(
                lambda: word in self._arrivals or self._ended, max(0.0, left_seconds)
            )
            self._awaited.discard(word)
            if word in self._arrivals:
                return self._arrivals[word]
            reason = "the machine ended" if self._ended else "the deadline passed"
            raise BootTimeout(self._panic or f"{reason} before it reported {word}.")

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines."""
        with self._changed:
            self._read()
            return tuple(self._lines)

    def panic_since(self, begin_ns: int = 0) -> str:
        """Return the guest kernel's latest panic as a sentence; empty without one.

        One that was printed before that CLOCK_MONOTONIC time does not count.
        """
        with self._changed:
            self._read()
            return self._panic if self._panic_ns >= begin_ns else ""

    def _read(self) -> bool:
        """Read what has arrived; return False at the end of the stream."""
        with self._changed:
            try:
                data = self._socket.recv(_BLOCK_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except OSError:  # the socket was closed here, or the connection broke
                data = b""
            if data:
                self._add(data, time.monotonic_ns())
            self._ended = not data
            self._changed.notify_all()
            return not self._ended

    def _add(self, data: bytes, now_ns: int) -> None:
        if not self._partial:
            self._begun_ns = now_ns
        *complete, self._partial = (self._partial + data).split(b"\n")
        for raw in complete:
            line = raw[:_LONGEST_LINE].decode(errors="replace").strip("\r")
            self._lines.append(line)
            self._record_arrival(line, self._begun_ns)
            self._begun_ns = now_ns
            if panic := _PANIC.search(line):
                self._panic = f"the guest's kernel panicked: {panic[0]}"
                self._panic_ns = now_ns
        self._partial = self._partial[:_LONGEST_LINE]

    def _record_arrival(self, line: str, arrived_ns: int) -> None:
        """Record the line's first word, if it is awaited or among the first thousand words."""
        word, *_ = line.split(maxsplit=1) or [""]
        if len(self._arrivals) < _KEPT_WORDS or word in self._awaited:
            self._arrivals.setdefault(word, arrived_ns)

    def close(self) -> None:
        """Close the socket."""
        reader_thread.unwatch(self._socket.fileno(), self._read)
        with contextlib.suppress(OSError):
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
