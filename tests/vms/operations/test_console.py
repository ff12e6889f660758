"""The console at a terminal, on a stand-in for a machine."""

from __future__ import annotations

import os
import pty
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vms.domain.domain import Domain, Place
from vms.domain.ports import Ports
from vms.operations import console as consoles

if TYPE_CHECKING:
    from collections.abc import Iterator


def stand_in(console: Path) -> Domain:
    """Return a machine that has nothing but a console."""
    return Domain(None, Place(), Ports("box", {"console": console}))


@pytest.fixture
def port(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    with socket.socket(socket.AF_UNIX) as listener:
        path = tmp_path / "port"
        listener.bind(str(path))
        listener.listen(1)
        yield path, listener


def test_the_escape_character_leaves_the_console(port: tuple[Path, socket.socket]) -> None:
    path, listener = port
    keys, keyboard = pty.openpty()
    shown, screen = os.pipe()
    box = stand_in(path)
    left: list[bool] = []
    attached = threading.Thread(target=lambda: left.append(consoles.attach(box, keyboard, screen)))
    # Only the main thread can set signal handlers, so the terminal's size is not followed here.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(signal, "signal", lambda *_: None)
        attached.start()
        guest, _ = listener.accept()
        guest.sendall(b"login: ")
        assert os.read(shown, 100) == b"login: "
        os.write(keys, b"root\x03")
        typed = b""
        while len(typed) < 5:
            typed += guest.recv(10)
        assert typed == b"root\x03"
        os.write(keys, b"\x1d")
        attached.join(10)
    assert left == [True]
    guest.close()
    for descriptor in (keys, keyboard, shown, screen):
        os.close(descriptor)


def test_the_console_is_shown_after_the_end_of_input(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(tmp_path / "c"))
    listener.listen()
    shown, screen = os.pipe()
    box = stand_in(tmp_path / "c")
    left: list[bool] = []
    with listener, Path(os.devnull).open("rb") as nothing:
        attached = threading.Thread(
            target=lambda: left.append(consoles.attach(box, nothing.fileno(), screen))
        )
        attached.start()
        guest, _ = listener.accept()
        attached.join(0.2)
        guest.sendall(b"still here")
        assert os.read(shown, 100) == b"still here"
        guest.close()
        attached.join(10)
    assert left == [False]
    os.close(shown)
    os.close(screen)
