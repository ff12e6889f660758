"""A built stage as files: in a directory of the host, or in an archive.

(docker, "docker buildx build", "--output")
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import IO

from runtime.build import extraction
from runtime.build.builder import Result
from runtime.build.source_walk import Request
from runtime.build.sources import archived
from runtime.images import tar_writer
from runtime.images.store import Store


def export_directory(store: Store, result: Result, directory: Path) -> None:
    """Write the files into a directory, over those that are there. Raise ContainerError."""
    directory.mkdir(parents=True, exist_ok=True)
    with closing(_archive(store, result)) as archive:
        extraction.extract(archive, directory)


def export_archive(store: Store, result: Result, file: IO[bytes]) -> None:
    """Write the files as a tar archive. Raise ContainerError."""
    with closing(_archive(store, result)) as archive:
        for piece in archive:
            file.write(piece)


def _archive(store: Store, result: Result) -> Generator[bytes, None, None]:
    layers = store.snapshots.layers(result.work.chain_ids)
    if not layers:
        yield tar_writer.END
        return
    lower = [os.path.relpath(each, store.snapshots.directory) for each in layers]
    yield from archived(
        Request(
            str(store.snapshots.directory), lower, ["/"], "/", True, keeps_destination=True,
            whole=True,
        )
    )  # fmt: skip
