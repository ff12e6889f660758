"""Atomic exchange of two directories, so that neither is missing if the process is killed.

(renameat2(2), RENAME_EXCHANGE)
"""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_AT_FDCWD, _EXCHANGE = -100, 2


def exchange(first: Path, second: Path) -> None:
    """Exchange two directories. Raises OSError, also on a file system without support."""
    renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(second))
