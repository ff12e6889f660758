"""A disk that is full soon."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SECONDS = 10.0


@contextmanager
def small_disk(directory: Path, mebibytes: int) -> Iterator[Path]:
    """Mount a tmpfs of that size on a new directory, until the block ends."""
    directory.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={mebibytes}m"]
    subprocess.run(["mount", *options, "tonnage-small", directory], check=True)
    try:
        yield directory
    finally:
        # The kernel closes files of a killed process a moment after its parent has seen its end.
        deadline = time.monotonic() + _SECONDS
        while subprocess.run(["umount", directory], check=False).returncode:
            assert time.monotonic() < deadline, f"{directory} stays busy"
            time.sleep(0.05)
