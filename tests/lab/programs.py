"""Fake programs for tests with a PATH of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def program(directory: Path, name: str, script: str = "") -> None:
    """Write an executable shell script of that name, which does nothing by default."""
    (directory / name).write_text(f"#!/bin/sh\n{script}\n")
    (directory / name).chmod(0o755)
