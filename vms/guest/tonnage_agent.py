"""Run commands inside a machine, by the tiny agent on its virtio-serial port.

Big-endian frames. Request: u32 length, arguments separated by NULs; if the length's highest bit is
set, u32 and stdin follow. Reply: u32 exit code, u64 nanoseconds by the guest's clock, u32 and
stdout, u32 and stderr.
"""

from __future__ import annotations

import secrets
import struct
import time
from typing import TYPE_CHECKING, Self

from vms.errors import MachineError
from vms.guest.interface import Completed
from vms.guest.serial_lines import connected

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["Agent", "Completed"]

_HEAD = struct.Struct(">IQ")
_LENGTH = struct.Struct(">I")
_STDIN_FOLLOWS = 1 << 31
_BLOCK_BYTES = 1 << 20
# The agent itself, wherever it lies and whatever is mounted: it knows how to move files.
_ITSELF = "/proc/self/exe"
_PART = "~part"
_PAUSE_SECONDS = 0.1


class Agent:
    """The connection to a machine's agent; a context manager.

    `heard_from_start` says that nobody else can have asked before. Else the first thing asked is a
    word of our own, and what comes before it answers somebody who has gone.
    """

    def __init__(self, port: Path | socket.socket, *, heard_from_start: bool = True) -> None:
        self._in_step = heard_from_start
        self._socket = connected(port)

    def run(self, argv: Sequence[str], timeout_seconds: float, stdin: bytes = b"") -> Completed:
        """Run a command to its end, with at most 1 MiB of stdin; 4 MiB of each output are kept.

        Raises MachineError if it does not end in time, or the machine does.
        """
        if len(stdin) > _BLOCK_BYTES:
            raise MachineError(f"{argv[0]}: at most 1 MiB can be handed to a command.")
        deadline = time.monotonic() + timeout_seconds
        try:
            if not self._in_step:
                self._fall_into_step(deadline)
            self._in_step = False
            self._ask(argv, stdin, deadline)
            exit_code, elapsed_ns = _HEAD.unpack(self._read(_HEAD.size, deadline))
            stdout = self._block(deadline)
            done = Completed(exit_code, stdout, self._block(deadline), elapsed_ns)
        except TimeoutError as error:
            raise MachineError(
                f"{argv[0]} in the machine did not end within {timeout_seconds:g} s."
            ) from error
        except OSError as error:
            raise MachineError(f"The machine ended while {argv[0]} ran in it.") from error
        self._in_step = True
        return done

    def read_file(self, path: str, timeout_seconds: float) -> Iterator[bytes]:
        """A file's content in blocks of 1 MiB, each within that time. Raises MachineError."""
        offset = 0
        while block := self._itself(timeout_seconds, "read", path, str(offset), str(_BLOCK_BYTES)):
            yield block
            offset += len(block)

    def write_file(
        self, path: str, blocks: Iterable[bytes], mode: int, timeout_seconds: float
    ) -> None:
        """Put a file there whole, each MiB within that time. Raises MachineError."""
        part, offset = path + _PART, 0
        self._itself(timeout_seconds, "write", part, "0")
        for block in blocks:
            for at in range(0, len(block), _BLOCK_BYTES):
                some = block[at : at + _BLOCK_BYTES]
                self._itself(timeout_seconds, "write", part, str(offset), stdin=some)
                offset += len(some)
        self._itself(timeout_seconds, "place", part, path, f"{mode:o}")

    def shut_down(self) -> None:
        """Ask for the machine's end, and don't wait for it. Raises MachineError if it is gone."""
        self._in_step = False
        try:
            self._ask([_ITSELF, "poweroff"], b"", time.monotonic() + 1)
        except OSError as error:
            raise MachineError("The agent in the machine does not listen.") from error

    def answers(self, timeout_seconds: float) -> bool:
        """Whether it does within that time."""
        begun = time.monotonic()
        try:
            self._itself(timeout_seconds, "echo", "here")
        except MachineError:  # nobody is there yet: not to be asked again at once
            time.sleep(min(_PAUSE_SECONDS, max(0.0, begun + timeout_seconds - time.monotonic())))
            return False
        return True

    def _itself(self, timeout_seconds: float, *words: str, stdin: bytes = b"") -> bytes:
        done = self.run([_ITSELF, *words], timeout_seconds, stdin)
        if done.exit_code:
            said = done.stderr.decode(errors="replace").strip().removeprefix("payload: ")
            raise MachineError(f"In the machine: {said}.")
        return done.stdout

    def _ask(self, argv: Sequence[str], stdin: bytes, deadline: float) -> None:
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        body = b"\0".join(word.encode() for word in argv)
        frame = _LENGTH.pack(len(body) | (_STDIN_FOLLOWS if stdin else 0)) + body
        self._socket.sendall(frame + _LENGTH.pack(len(stdin)) + stdin if stdin else frame)

    def _fall_into_step(self, deadline: float) -> None:
        word = secrets.token_hex(16)
        self._ask([_ITSELF, "echo", word], b"", deadline)
        end = word.encode() + _LENGTH.pack(0)
        last = b""
        while not last.endswith(end):
            last = (last + self._read(1, deadline))[-len(end) :]

    def _block(self, deadline: float) -> bytes:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, deadline))
        return self._read(length, deadline)

    def _read(self, length: int, deadline: float) -> bytes:
        data = bytearray()
        while len(data) < length:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            some = self._socket.recv(length - len(data))
            if not some:
                raise ConnectionResetError
            data += some
        return bytes(data)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
