"""Lines and frames over real sockets, with deadlines."""

from __future__ import annotations

import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vms import BootTimeout, LineReader, MachineError
from vms.guest.tonnage_agent import Agent, Completed

if TYPE_CHECKING:
    from collections.abc import Iterator


def in_seconds(seconds: float) -> int:
    return time.monotonic_ns() + int(seconds * 1e9)


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    with socket.socket(socket.AF_UNIX) as listener:
        path = tmp_path / "port"
        listener.bind(str(path))
        listener.listen(1)
        yield path, listener


def test_a_line_is_stamped_when_its_first_byte_comes(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    with LineReader(path) as reader, listener.accept()[0] as port:
        begun = time.monotonic_ns()
        port.sendall(b"first-")

        def rest() -> None:
            time.sleep(0.2)
            port.sendall(b"instruction 5\r\nlistening 6\n")

        thread = threading.Thread(target=rest)
        thread.start()
        first = reader.wait_for("first-instruction", in_seconds(5))
        listening = reader.wait_for("listening", in_seconds(5))
        thread.join()
    assert begun <= first < begun + 150_000_000
    assert listening > first + 100_000_000


def test_lines_that_are_not_waited_for_are_kept(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    with LineReader(path) as reader, listener.accept()[0] as port:
        port.sendall(b"listening 1\nnoise\n\nuserspace 2\n")
        userspace = reader.wait_for("userspace", in_seconds(5))
        assert reader.wait_for("listening", in_seconds(0)) <= userspace


def test_a_deadline_and_an_end_are_told_apart(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    with LineReader(path) as reader:
        port, _ = listener.accept()
        begun = time.monotonic()
        with pytest.raises(BootTimeout, match="deadline passed"):
            reader.wait_for("ready", in_seconds(0.1))
        assert time.monotonic() - begun < 2
        port.close()
        with pytest.raises(BootTimeout, match="it ended"):
            reader.wait_for("ready", in_seconds(5))


def test_the_agent_speaks_in_frames(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    heard = []
    with Agent(path) as agent, listener.accept()[0] as port:

        def answer() -> None:
            (length,) = struct.unpack(">I", port.recv(4))
            heard.append(port.recv(length))
            reply = struct.pack(">IQ", 3, 42) + struct.pack(">I", 2) + b"hi" + struct.pack(">I", 0)
            for byte in reply:
                port.sendall(bytes([byte]))

        thread = threading.Thread(target=answer)
        thread.start()
        done = agent.run(["sh", "-c", "echo hi"], 5)
        thread.join()
        assert done == Completed(3, b"hi", b"", 42)
        assert heard == [b"sh\0-c\0echo hi"]
        with pytest.raises(MachineError, match="did not end within"):
            agent.run(["sleep"], 0.1)
        port.close()
        with pytest.raises(MachineError, match="ended while"):
            agent.run(["true"], 5)


def test_no_port_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="Can't connect to"):
        LineReader(tmp_path / "nowhere")
