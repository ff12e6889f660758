"""Programs of the host that build the user land, and the privilege that they need."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_tool(argv: Sequence[str], package: str) -> None:
    """Run a program to its end.

    Raises LabError with the last line of its stderr if it fails, or with the Debian package that
    contains it if it is not installed.
    """
    try:
        result = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is missing: apt-get install {package}.") from error
    if result.returncode:
        lines = result.stderr.decode(errors="replace").strip().splitlines()
        raise LabError(f"{argv[0]} failed: {lines[-1] if lines else f'exit {result.returncode}'}.")


def require_root(action: str) -> None:
    """Raise LabError, naming the action, unless this process runs as root."""
    if os.geteuid() != 0:
        raise LabError(f"Only root can {action}: run this with sudo.")
