"""Copy files into machines and out of them, by whichever agent is there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vms.guest.interface import Inside

_BLOCK_BYTES = 1 << 20
DEADLINE_SECONDS = 60.0


def copy_in(
    inside: Inside, source: Path, path: str, timeout_seconds: float = DEADLINE_SECONDS
) -> None:
    """Copy a file into the machine with its mode; each block has that time. Raises MachineError."""
    try:
        mode = source.stat().st_mode & 0o7777
        with source.open("rb") as file:
            inside.write_file(path, _blocks(file.fileno()), mode, timeout_seconds)
    except OSError as error:
        raise MachineError(f"Can't read {source}: {error.strerror}.") from error


def copy_out(
    inside: Inside, path: str, destination: Path, timeout_seconds: float = DEADLINE_SECONDS
) -> None:
    """Copy a file out of the machine, whole or not at all; each block has that time.

    Raises MachineError.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=destination.parent, delete=False) as aside:
            try:
                for block in inside.read_file(path, timeout_seconds):
                    aside.write(block)
                aside.close()
                Path(aside.name).chmod(0o666 & ~_umask())
                Path(aside.name).replace(destination)
            except BaseException:
                Path(aside.name).unlink()
                raise
    except OSError as error:
        raise MachineError(f"Can't write {destination}: {error.strerror}.") from error


def _blocks(descriptor: int) -> Iterator[bytes]:
    while block := os.read(descriptor, _BLOCK_BYTES):
        yield block


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
