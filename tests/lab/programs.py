"""Programs that are on a PATH in name alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def program(directory: Path, name: str) -> None:
    """Put a program of that name there, which does nothing."""
    (directory / name).write_text("#!/bin/sh\n")
    (directory / name).chmod(0o755)
