"""A machine's console on this terminal, until the machine ends or its user leaves."""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vms import Domain

ESCAPE, ESCAPE_NAME = b"\x1d", "Ctrl-]"


def attach(domain: Domain, port: Path) -> None:
    """Hand on what is typed, and print what is said. Ends with the machine, or at the escape.

    The port has one reader: the domain's own gives it up.
    """
    domain.console.close()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as console, _raw(sys.stdin.fileno()):
        console.connect(str(port))
        sources = [console.fileno(), sys.stdin.fileno()]
        while True:
            ready, _, _ = select.select(sources, [], [])
            if console.fileno() in ready:
                said = console.recv(65536)
                if not said:
                    return
                os.write(sys.stdout.fileno(), said)
            if sys.stdin.fileno() in ready:
                typed = os.read(sys.stdin.fileno(), 4096)
                if ESCAPE in typed:
                    return
                if not typed:  # nothing more will be typed; what is said is still shown
                    sources.remove(sys.stdin.fileno())
                console.sendall(typed)


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """The terminal hands on each key as it is, if it is one. (termios(3))"""
    if not os.isatty(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    tty.setraw(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
