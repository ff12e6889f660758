"""What "started" means: lines that arrive from inside, stamped as they do."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from vms.errors import BootTimeout, MachineError
from vms.guest import reader_thread

if TYPE_CHECKING:
    from pathlib import Path

# A guest may say as much as it likes: what is kept of it is bounded.
_KEPT_LINES, _KEPT_WORDS, _LONGEST_LINE = 1000, 1000, 4096
_BLOCK_BYTES = 65536
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

    They are taken in as they come, whether somebody waits or not. The last thousand are kept, the
    first 4 KiB of each. A context manager that closes the socket.
    """

    def __init__(self, port: Path | socket.socket) -> None:
        self._socket = connected(port)
        self._news = threading.Condition()
        self._partial = b""
        self._begun_ns = 0
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._seen: dict[str, int] = {}
        self._awaited: set[str] = set()
        self._panic = ""
        self._ended = False
        reader_thread.take_in(self._socket.fileno(), self._take_in)

    def ask_again(self) -> None:
        """Ask for what was said before we listened: the agent's events are then said once more."""
        with contextlib.suppress(OSError):
            self._socket.sendall(b"\n")

    def wait_for(self, word: str, deadline_ns: int) -> int:
        """When the line arrived whose first word this is, the first one that there was.

        Raises BootTimeout past the deadline, or if the machine closes the port.
        """
        with self._news:
            self._take_in()
            self._awaited.add(word)
            left_seconds = (deadline_ns - time.monotonic_ns()) / 1e9
            self._news.wait_for(lambda: word in self._seen or self._ended, max(0.0, left_seconds))
            self._awaited.discard(word)
            if word in self._seen:
                return self._seen[word]
            why = "it ended" if self._ended else "the deadline passed"
            raise BootTimeout(self._panic or f"{why} before it said so.")

    @property
    def said(self) -> tuple[str, ...]:
        """The last lines."""
        with self._news:
            self._take_in()
            return tuple(self._lines)

    @property
    def panic(self) -> str:
        """What the guest's kernel panicked of, as a sentence; empty if that was not heard."""
        with self._news:
            self._take_in()
            return self._panic

    def _take_in(self) -> bool:
        """Take in what has come; whether more can."""
        with self._news:
            try:
                data = self._socket.recv(_BLOCK_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except OSError:  # closed by us, or broken
                data = b""
            if data:
                self._take(data, time.monotonic_ns())
            self._ended = not data
            self._news.notify_all()
            return not self._ended

    def _take(self, data: bytes, now_ns: int) -> None:
        if not self._partial:
            self._begun_ns = now_ns
        *whole, self._partial = (self._partial + data).split(b"\n")
        for raw in whole:
            line = raw[:_LONGEST_LINE].decode(errors="replace").strip("\r")
            self._lines.append(line)
            self._note(line, self._begun_ns)
            self._begun_ns = now_ns
            if not self._panic and (said := _PANIC.search(line)):
                self._panic = f"the guest's kernel panicked: {said[0]}"
        self._partial = self._partial[:_LONGEST_LINE]

    def _note(self, line: str, arrived_ns: int) -> None:
        """Its first word: of the first thousand, and of those that are waited for."""
        word, *_ = line.split(maxsplit=1) or [""]
        if len(self._seen) < _KEPT_WORDS or word in self._awaited:
            self._seen.setdefault(word, arrived_ns)

    def close(self) -> None:
        """Close the socket."""
        reader_thread.leave(self._socket.fileno(), self._take_in)
        with contextlib.suppress(OSError):
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
