"""Copy files into machines and out of them, by any agent."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from vms.errors import os_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vms.guest.interface import Inside

_BLOCK_BYTES = 1 << 20
DEADLINE_SECONDS = 60.0


def copy_in(
    inside: Inside, source: Path, path: str, timeout_seconds: float = DEADLINE_SECONDS
) -> None:
    """Copy a file and its mode into the machine. Raises MachineError.

    The timeout is for each block.
    """
    try:
        mode = source.stat().st_mode & 0o7777
        with source.open("rb") as file:
            inside.write_file(path, _blocks(file.fileno()), mode, timeout_seconds)
    except OSError as error:
        raise os_error(f"Can't read {source}", error) from error


def copy_out(
    inside: Inside, path: str, destination: Path, timeout_seconds: float = DEADLINE_SECONDS
) -> None:
    """Copy a file out of the machine; it appears once it is complete. Raises MachineError.

    The timeout is for each block.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=destination.parent, delete=False) as partial:
            try:
                for block in inside.read_file(path, timeout_seconds):
                    partial.write(block)
                partial.close()
                Path(partial.name).chmod(0o666 & ~_umask())
                Path(partial.name).replace(destination)
            except BaseException:
                Path(partial.name).unlink()
                raise
    except OSError as error:
        raise os_error(f"Can't write {destination}", error) from error


def _blocks(descriptor: int) -> Iterator[bytes]:
    while block := os.read(descriptor, _BLOCK_BYTES):
        yield block


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
