"""Contexts that are not directories: repositories, archives, and Dockerfiles without a context.

(docker, "Build context")
"""

from __future__ import annotations

import io
import lzma
from pathlib import Path
from typing import IO, TYPE_CHECKING

from runtime.build import added_archive, extraction, git_source
from runtime.build.cancellation import Cancellation
from runtime.build.urls import is_url
from runtime.errors import InvalidConfig
from runtime.images.tar_reader import TarReader

if TYPE_CHECKING:
    from runtime.build.downloads import Downloads

DOCKERFILE = "Dockerfile"
_HEAD_BYTES = 1 << 18
_LARGEST_DOCKERFILE_BYTES = 16 << 20


def is_remote(text: str) -> bool:
    """Return True for a context that names a repository or a URL. Raise InvalidConfig."""
    return is_url(text) or git_source.parse(text, as_context=True) is not None


def fetch(text: str, scratch: Path, kept: Downloads, cancellation: Cancellation) -> Path:
    """Fetch a context into a directory below `scratch`, and return that. Raise ContainerError."""
    context = scratch / "context"
    if repository := git_source.parse(text, as_context=True):
        commit = git_source.commit_of(repository, cancellation)
        return git_source.check_out(repository, commit, context, cancellation)
    file = scratch / "download"
    kept.fetch(text, file)
    context.mkdir()
    with file.open("rb") as opened:
        unpack(opened, context)
    return context


def unpack(file: IO[bytes], directory: Path) -> None:
    """Extract an archive, or make any other file the Dockerfile of an empty context.

    Raise InvalidConfig.
    """
    head = file.read(_HEAD_BYTES)
    if _begins_archive(head):
        extraction.extract(added_archive.decompressed(file, head), directory)
        return
    text = head + file.read(_LARGEST_DOCKERFILE_BYTES)
    if len(text) > _LARGEST_DOCKERFILE_BYTES or b"\0" in text:
        raise InvalidConfig("The context is neither an archive nor a Dockerfile.")
    (directory / DOCKERFILE).write_bytes(text)


def _begins_archive(head: bytes) -> bool:
    try:
        reader = TarReader(added_archive.decompressed(io.BytesIO(head)))
        return next(iter(reader), None) is not None
    except (InvalidConfig, OSError, EOFError, lzma.LZMAError):
        return False
