"""Lines of serial ports over real sockets, with deadlines."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from vms import BootTimeout, LineReader, MachineError

if TYPE_CHECKING:
    import socket
    from pathlib import Path

PATIENCE_SECONDS = 60.0  # for what happens at once, however busy the host is


def in_seconds(seconds: float) -> int:
    return time.monotonic_ns() + int(seconds * 1e9)


def test_a_line_is_stamped_when_its_first_byte_arrives(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    with LineReader(path) as reader, listener.accept()[0] as port:
        begun_ns = time.monotonic_ns()
        port.sendall(b"first-")
        assert reader.lines == ()  # the reader has the first bytes now
        between_ns = time.monotonic_ns()
        port.sendall(b"instruction 5\r\nlistening 6\n")
        first_ns = reader.wait_for("first-instruction", in_seconds(PATIENCE_SECONDS))
        listening_ns = reader.wait_for("listening", in_seconds(PATIENCE_SECONDS))
    assert begun_ns <= first_ns <= between_ns <= listening_ns


def test_lines_that_are_not_awaited_are_kept(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    with LineReader(path) as reader, listener.accept()[0] as port:
        port.sendall(b"listening 1\nnoise\n\nuserspace 2\n")
        userspace_ns = reader.wait_for("userspace", in_seconds(PATIENCE_SECONDS))
        assert reader.wait_for("listening", in_seconds(0)) <= userspace_ns


def test_a_passed_deadline_and_a_closed_port_differ(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    with LineReader(path) as reader:
        port, _ = listener.accept()
        deadline_ns = in_seconds(0.1)
        with pytest.raises(BootTimeout, match="deadline passed"):
            reader.wait_for("ready", deadline_ns)
        assert time.monotonic_ns() >= deadline_ns
        port.close()
        with pytest.raises(BootTimeout, match="the machine ended"):
            reader.wait_for("ready", in_seconds(PATIENCE_SECONDS))


def test_a_missing_port_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="Can't connect to"):
        LineReader(tmp_path / "nowhere")
