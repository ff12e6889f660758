"""Run commands inside a machine by the payload's agent on a virtio-serial port."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from vms.errors import (
    GuestError,
    InvalidDescription,
    InvalidState,
    MachineError,
    TimedOut,
    Unavailable,
)
from vms.guest import payload_protocol
from vms.guest.interface import Completed
from vms.guest.sockets import connected

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["Agent", "Completed"]

_BLOCK_BYTES = payload_protocol.MAX_STDIN_BYTES
# The payload itself, wherever it lies and whatever is mounted: its roles read and write files.
_PAYLOAD = "/proc/self/exe"
_PART_SUFFIX = "~part"
_PAUSE_SECONDS = 0.1
_SEND_SECONDS = 1.0
_LOOK_SECONDS = 0.5  # between two looks at the console while a reply is awaited


class Agent:
    """A connection to a machine's agent; a context manager that closes it.

    `heard_from_start` says that no client has used the port before. Otherwise the stream may still
    carry the reply to a client that has gone, so the first request asks for a random word, and
    everything before that word is discarded. `why_ended` returns what is known of the end of a
    machine that no longer answers; nothing by default. `panic_since` returns the panic of the
    guest's kernel since a CLOCK_MONOTONIC time in ns: no reply comes then, though the machine may
    stay as it is.
    """

    def __init__(
        self,
        port: Path | socket.socket,
        *,
        heard_from_start: bool = True,
        why_ended: Callable[[], str] = str,
        panic_since: Callable[[int], str] = lambda _: "",
    ) -> None:
        self._synchronized = heard_from_start
        self._why_ended = why_ended
        self._panic_since = panic_since
        self._asked_ns = 0
        self._socket = connected(port)

    def run(self, argv: Sequence[str], timeout_seconds: float, stdin: bytes = b"") -> Completed:
        """Run a command to its end, with at most 1 MiB of stdin; 4 MiB of each output are kept.

        Raises TimedOut if the command does not end in time, and MachineError if the machine ends or
        its kernel panics.
        """
        if len(stdin) > payload_protocol.MAX_STDIN_BYTES:
            raise InvalidDescription(
                f"The stdin of {argv[0]} has {len(stdin)} bytes: a command in a machine takes at"
                " most 1 MiB; copy the data into a file instead."
            )
        deadline = time.monotonic() + timeout_seconds
        try:
            if not self._synchronized:
                self._synchronize(deadline)
            self._synchronized = False
            self._send(argv, stdin, deadline)
            result = payload_protocol.read_reply(lambda length: self._read(length, deadline))
        except TimeoutError as error:
            raise TimedOut(
                f"{argv[0]} in the machine did not end within {timeout_seconds:g} s."
            ) from error
        except OSError as error:
            why = self._why_ended()
            raise InvalidState(
                f"The machine ended while {argv[0]} ran in it{f': {why}' if why else ''}."
            ) from error
        self._synchronized = True
        return result

    def read_file(self, path: str, timeout_seconds: float) -> Iterator[bytes]:
        """Yield a file's content in blocks of 1 MiB. Raises MachineError.

        The timeout is for each block.
        """
        offset = 0
        while block := self._run_payload(
            timeout_seconds, "read", path, str(offset), str(_BLOCK_BYTES)
        ):
            yield block
            offset += len(block)

    def write_file(
        self, path: str, blocks: Iterable[bytes], mode: int, timeout_seconds: float
    ) -> None:
        """Write a file; it appears under its path once it is complete. Raises MachineError.

        The timeout is for each MiB.
        """
        part, offset = path + _PART_SUFFIX, 0
        self._run_payload(timeout_seconds, "write", part, "0")
        for block in blocks:
            for start in range(0, len(block), _BLOCK_BYTES):
                piece = block[start : start + _BLOCK_BYTES]
                self._run_payload(timeout_seconds, "write", part, str(offset), stdin=piece)
                offset += len(piece)
        self._run_payload(timeout_seconds, "place", part, path, f"{mode:o}")

    def shut_down(self) -> None:
        """Ask the guest to shut down and return at once.

        Raises MachineError if the agent can't be reached.
        """
        self._synchronized = False
        try:
            self._send([_PAYLOAD, "poweroff"], b"", time.monotonic() + _SEND_SECONDS)
        except OSError as error:
            raise Unavailable(
                "The agent in the machine can't be reached: the guest may hang or have ended."
            ) from error

    def answers(self, timeout_seconds: float) -> bool:
        """Return True if the agent answers within the timeout."""
        begun = time.monotonic()
        try:
            self._run_payload(timeout_seconds, "echo", "here")
        except MachineError:  # the agent is not up yet, so callers that poll must not spin
            time.sleep(min(_PAUSE_SECONDS, max(0.0, begun + timeout_seconds - time.monotonic())))
            return False
        return True

    def _run_payload(self, timeout_seconds: float, *role: str, stdin: bytes = b"") -> bytes:
        """Run a role of the payload inside; return its stdout. Raises GuestError if it fails."""
        result = self.run([_PAYLOAD, *role], timeout_seconds, stdin)
        if result.exit_code:
            reason = result.stderr.decode(errors="replace").strip().removeprefix("payload: ")
            raise GuestError(f"In the machine: {reason}.")
        return result.stdout

    def _send(self, argv: Sequence[str], stdin: bytes, deadline: float) -> None:
        self._asked_ns = time.monotonic_ns()
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        self._socket.sendall(payload_protocol.encode_request(argv, stdin))

    def _synchronize(self, deadline: float) -> None:
        """Discard the reply to an earlier client: read up to the echo of a random word."""
        word = secrets.token_hex(16)
        self._send([_PAYLOAD, "echo", word], b"", deadline)
        end = word.encode() + payload_protocol.EMPTY_BLOCK
        tail = b""
        while not tail.endswith(end):
            tail = (tail + self._read(1, deadline))[-len(end) :]

    def _read(self, length: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < length:
            received = self._receive(length - len(data), deadline)
            if not received:
                raise ConnectionResetError
            data += received
        return bytes(data)

    def _receive(self, length: int, deadline: float) -> bytes:
        """Receive at most `length` bytes. Raise OSError past the deadline, or after a panic."""
        while (left_seconds := deadline - time.monotonic()) > 0:
            self._socket.settimeout(min(left_seconds, _LOOK_SECONDS))
            with suppress(TimeoutError):
                return self._socket.recv(length)
            if self._panic_since(self._asked_ns):
                raise ConnectionAbortedError
        raise TimeoutError

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
