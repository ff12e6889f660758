"""Run a command inside a machine, by the agent on its virtio-serial port.

Big-endian frames. Request: u32 length, arguments separated by NULs. Reply: u32 exit code, u64
nanoseconds by the guest's clock, u32 and stdout, u32 and stderr.
"""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_HEAD = struct.Struct(">IQ")
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended: 128 + n if signal n ended it; `elapsed_ns` by the guest's clock."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    elapsed_ns: int


class Agent:
    """The connection to a machine's agent; a context manager."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise MachineError(f"Can't connect to the agent: {error.strerror}.") from error

    def run(self, argv: Sequence[str], timeout_seconds: float) -> Completed:
        """Run a command to its end.

        Raises MachineError if it does not end in time, or the machine does.
        """
        deadline = time.monotonic() + timeout_seconds
        body = b"\0".join(word.encode() for word in argv)
        try:
            self._socket.settimeout(timeout_seconds)
            self._socket.sendall(_LENGTH.pack(len(body)) + body)
            exit_code, elapsed_ns = _HEAD.unpack(self._read(_HEAD.size, deadline))
            stdout = self._block(deadline)
            return Completed(exit_code, stdout, self._block(deadline), elapsed_ns)
        except TimeoutError as error:
            raise MachineError(
                f"{argv[0]} in the machine did not end within {timeout_seconds:.0f} s."
            ) from error
        except OSError as error:
            raise MachineError(f"The machine ended while {argv[0]} ran in it.") from error

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
