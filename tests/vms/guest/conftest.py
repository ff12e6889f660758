"""A socket that stands for a guest's serial port."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[tuple[Path, socket.socket]]:
    """Yield the port's path and the listening socket of the guest's side."""
    with socket.socket(socket.AF_UNIX) as listener:
        path = tmp_path / "port"
        listener.bind(str(path))
        listener.listen(1)
        yield path, listener
