"""Requirements of a notebook: a host without one gets a sentence instead of a traceback."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec

from lab.errors import Unavailable


class Unmet(Unavailable):
    """The host lacks something that the whole notebook needs."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython prints in place of a traceback."""
        return [str(self)]


def require_root(purpose: str) -> None:
    """Raise Unmet unless this process is root's. `purpose` completes "root is needed to …"."""
    if sys.platform != "linux":
        raise Unmet(f"This notebook needs Linux, and this is {sys.platform}: run it on Linux.")
    if os.geteuid() != 0:
        raise Unmet(
            f"root is needed to {purpose}, and this kernel runs as user {os.geteuid()}:"
            " start Jupyter as root (sudo .venv/bin/jupyter lab --allow-root)."
        )


def require_program(program: str, package: str) -> None:
    """Raise Unmet unless a program is installed."""
    if not shutil.which(program):
        raise Unmet(f"{program} is not installed: apt-get install {package}")


def require_module(module: str, command: str) -> None:
    """Raise Unmet unless a Python module is installed."""
    if not find_spec(module):
        raise Unmet(f"The Python module {module} is not installed: {command}")
