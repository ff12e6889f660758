"""Requests and replies of the payload's agent over a real socket."""

from __future__ import annotations

import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest

from vms import MachineError
from vms.guest import payload_protocol
from vms.guest.tonnage_agent import Agent, Completed

if TYPE_CHECKING:
    import socket
    from pathlib import Path

PATIENCE_SECONDS = 60.0  # for what happens at once, however busy the host is


def test_a_command_is_requested_and_its_result_read(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    requests = []
    agent = Agent(path, why_ended=lambda: "it panicked")
    with agent, listener.accept()[0] as port:

        def reply() -> None:
            (length,) = struct.unpack(">I", port.recv(4))
            requests.append(port.recv(length))
            frame = struct.pack(">IQ", 3, 42) + struct.pack(">I", 2) + b"hi" + struct.pack(">I", 0)
            for byte in frame:
                port.sendall(bytes([byte]))

        thread = threading.Thread(target=reply)
        thread.start()
        result = agent.run(["sh", "-c", "echo hi"], PATIENCE_SECONDS)
        thread.join()
        assert result == Completed(3, b"hi", b"", 42)
        assert requests == [b"sh\0-c\0echo hi"]
        with pytest.raises(MachineError, match="did not end within"):
            agent.run(["sleep"], 0.1)
        port.close()
        with pytest.raises(MachineError, match=r"ended while true ran in it: it panicked\."):
            agent.run(["true"], PATIENCE_SECONDS)


def test_a_panic_ends_the_wait_for_a_reply(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    panics_ns: list[int] = [time.monotonic_ns()]  # one before the command, which a restart ended

    def panic_since(begin_ns: int) -> str:
        panicked = any(each >= begin_ns for each in panics_ns)
        panics_ns.append(time.monotonic_ns())
        return "it panicked" if panicked else ""

    agent = Agent(path, why_ended=lambda: "it panicked", panic_since=panic_since)
    with agent, listener.accept()[0], pytest.raises(MachineError, match=r"in it: it panicked\."):
        agent.run(["true"], PATIENCE_SECONDS)
    assert len(panics_ns) == 3


def test_too_much_stdin_is_refused_before_anything_is_sent(
    guest: tuple[Path, socket.socket],
) -> None:
    path, _ = guest
    with Agent(path) as agent, pytest.raises(MachineError, match="at most 1 MiB"):
        agent.run(["cat"], PATIENCE_SECONDS, stdin=bytes(payload_protocol.MAX_STDIN_BYTES + 1))


def test_a_request_with_stdin_says_so_in_its_length() -> None:
    frame = payload_protocol.encode_request(["wc", "-c"], b"abc")
    assert frame == struct.pack(">I", 5 | 1 << 31) + b"wc\0-c" + struct.pack(">I", 3) + b"abc"
