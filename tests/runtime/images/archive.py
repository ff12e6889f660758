"""Tar archives for tests, in any of the formats that Python's tarfile writes."""

from __future__ import annotations

import io
import tarfile
from typing import Any

KINDS = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "character": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
}


def member(
    name: str, kind: str = "file", content: bytes = b"", **fields: Any
) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member with sensible defaults; `fields` are TarInfo's."""
    info = tarfile.TarInfo(name)
    info.type = KINDS[kind]
    info.mode = 0o755 if kind == "directory" else 0o644
    info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content


def archive(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002
    """Return an archive of these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as written:
        for info, content in members:
            written.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
