"""The payload's protocol: names and numbers of its ports, and the frames of its agent.

Frames are big-endian. A request is a u32 length and the arguments separated by NULs; if the highest
bit of the length is set, a u32 length and stdin follow. A reply is a u32 exit code, u64 nanoseconds
by the guest's clock, a u32 length and stdout, a u32 length and stderr.
(vms/guest/program/agent.h; this module imports no libvirt)
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from vms.guest.interface import Completed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Names of the virtio-serial ports, and the host's vsock ports that take their place.
EVENTS_CHANNEL, AGENT_CHANNEL = "tonnage.events", "tonnage.agent"
EVENTS_VSOCK_PORT, AGENT_VSOCK_PORT = 7001, 7002
# The TCP port on which the payload answers each connection with these bytes.
TCP_PORT, ANSWER = 7000, b"pong\n"
# The first argument of a request that sets its command's environment.
WITHIN = "@within"
MAX_STDIN_BYTES = 1 << 20

_RESULT = struct.Struct(">IQ")
_LENGTH = struct.Struct(">I")
_STDIN_FOLLOWS = 1 << 31
# How the reply to a command that printed nothing on stderr ends.
EMPTY_BLOCK = _LENGTH.pack(0)


def encode_request(argv: Sequence[str], stdin: bytes = b"") -> bytes:
    """Return the frame that asks the agent to run a command."""
    body = b"\0".join(word.encode() for word in argv)
    if not stdin:
        return _LENGTH.pack(len(body)) + body
    return _LENGTH.pack(len(body) | _STDIN_FOLLOWS) + body + _LENGTH.pack(len(stdin)) + stdin


def read_reply(read: Callable[[int], bytes]) -> Completed:
    """Return the result of a command; `read` returns exactly as many bytes as it is asked for."""
    exit_code, elapsed_ns = _RESULT.unpack(read(_RESULT.size))
    stdout = _read_block(read)
    return Completed(exit_code, stdout, _read_block(read), elapsed_ns)


def _read_block(read: Callable[[int], bytes]) -> bytes:
    (length,) = _LENGTH.unpack(read(_LENGTH.size))
    return read(length)
