"""The newest calibration of this host, in a file of the cache, for the reports of its runs."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

from lab.calibration import text
from lab.errors import LabError
from lab.paths import cache_directory
from lab.results.stored_files import read_json

if TYPE_CHECKING:
    from pathlib import Path

    from lab.calibration.model import Calibration


def save(calibration: Calibration) -> bool:
    """Save the calibration as this host's newest; return True if it was saved.

    A calibration with too few repetitions is not saved: it would replace one with a verdict. Raise
    LabError if the file can't be written.
    """
    if not calibration.trials or calibration.undecided():
        return False
    path = newest_path()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(calibration.document()) + "\n", encoding="utf-8")
        temporary.rename(path)
    except OSError as error:
        raise LabError(f"Can't save the calibration to {path}: {error.strerror}.") from error
    return True


def newest() -> dict[str, Any] | None:
    """Return the document of this host's newest calibration.

    Return None if there is none, or if the file is damaged, of another version or of another host.
    """
    try:
        document = read_json(newest_path())
        text.markdown(document), text.sentence(document)
    except (OSError, LabError, ArithmeticError, LookupError, TypeError, ValueError):
        return None
    return document if document.get("host") == socket.gethostname() else None


def newest_path() -> Path:
    """Return the file of the newest calibration."""
    return cache_directory() / "calibration.json"
