"""Output of guests that nothing waits for: it is read at once, and bounded."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from vms import LineReader, MachineError

if TYPE_CHECKING:
    import socket
    from pathlib import Path


def test_the_output_kept_of_a_console_is_bounded(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    with LineReader(path) as reader, listener.accept()[0] as port:

        def flood() -> None:
            for number in range(3000):
                port.sendall(b"word%d %s\n" % (number, b"x" * 10_000))
            port.sendall(b"y" * 5_000_000 + b"\nready\n")

        thread = threading.Thread(target=flood)
        thread.start()
        reader.wait_for("ready", time.monotonic_ns() + 30 * 10**9)
        thread.join()
        assert len(reader._arrivals) <= 1001
        assert len(reader._lines) <= 1000
        assert len(reader._partial) <= 4096


def test_a_guest_does_not_block_on_unread_output(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    with LineReader(path) as reader, listener.accept()[0] as port:
        port.settimeout(30)
        port.sendall(b"first-instruction 1\n")
        for _ in range(20_000):
            port.send(b"x")
        port.sendall(b"\nlast\n")
        reader.wait_for("last", time.monotonic_ns() + 30 * 10**9)
        assert reader.wait_for("first-instruction", 0)
        assert reader.lines[0] == "first-instruction 1"


def test_a_panic_is_given_as_the_reason(guest: tuple[Path, socket.socket]) -> None:
    path, listener = guest
    with LineReader(path) as reader:
        port, _ = listener.accept()
        port.sendall(b"[ 1.5] Kernel panic - not syncing: no init\r\n")
        with pytest.raises(MachineError, match="kernel panicked: Kernel panic - not syncing: no"):
            reader.wait_for("ready", time.monotonic_ns() + 10**8)
        port.sendall(b"[ 1.5] ---[ end Kernel panic - not syncing: no init ]---\r\nrestarted\n")
        begun_ns = reader.wait_for("restarted", time.monotonic_ns() + 30 * 10**9)
        assert reader.panic_since().endswith("not syncing: no init")
        assert reader.panic_since(begun_ns) == ""
        port.sendall(b"[ 1.5] Kernel panic - not syncing: another\nlast\n")
        reader.wait_for("last", time.monotonic_ns() + 30 * 10**9)
        assert reader.panic_since(begun_ns).endswith("another")
        port.close()
