"""Cache entries: directories that are built once and named by the digest of their inputs.

An entry is built in a staging directory beside its final place and renamed when it is complete, so
that a build that fails or is killed never leaves a partial entry under the final name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.paths import cache_directory
from vms.storage import locks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def cache_entry(name: str, key: str) -> Iterator[tuple[Path, Path | None]]:
    """Yield an entry's directory and, if it has yet to be built, the directory to build it in.

    The staging directory is renamed into place when the block succeeds and removed when it raises.
    If two processes need the same entry, the second waits for the first. Raises LabError.
    """
    directory = cache_directory() / f"{name}-{key}"
    if directory.is_dir():
        yield directory, None
        return
    staging = directory.with_name(f".{directory.name}.{os.getpid()}")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with locks.exclusive(directory.parent):
            if directory.is_dir():
                yield directory, None
                return
            staging.mkdir(parents=True)
            yield directory, staging
            staging.rename(directory)
    except OSError as error:
        raise LabError(f"Can't build {name} in {directory.parent}: {error.strerror}.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def digest(*inputs: str | bytes) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the inputs and their lengths."""
    sha256 = hashlib.sha256()
    for part in inputs:
        raw = part.encode() if isinstance(part, str) else part
        sha256.update(len(raw).to_bytes(8, "big") + raw)
    return sha256.hexdigest()[:16]
