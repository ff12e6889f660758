"""Images of one layer: from an archive of a root file system, or from Debian packages.

(docker import; mmdebstrap(1))
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from typing import IO

from runtime.errors import InvalidConfig, Unavailable
from runtime.images import assembly, compression
from runtime.images.manifest import Config, Execution, History, RootFs
from runtime.images.store import Image, Store, host_platform
from runtime.images.tar_reader import TarReader

_PIECE_BYTES = 1 << 20
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DISTRIBUTIONS = ("debian",)


def import_archive(
    store: Store,
    file: IO[bytes],
    names: list[str],
    execution: Execution | None = None,
    comment: str = "",
) -> Image:
    """Make an image of a root file system in a tar archive, which may be compressed.

    Raise InvalidConfig for a file that is not an archive.
    """
    return _image(
        store, _checked(_decompressed(file)), names, execution, f"imported {comment}".strip()
    )


def bootstrap(
    store: Store,
    release: str,
    names: list[str],
    packages: Iterable[str] = (),
    epoch_seconds: int | None = None,
) -> Image:
    """Make an image of a Debian release, such as `debian:bookworm`, from its packages.

    The same packages give the same digest if `epoch_seconds` is given. Raise InvalidConfig for
    another distribution, Unavailable if mmdebstrap is missing or fails.
    """
    distribution, _, suite = release.partition(":")
    if distribution not in _DISTRIBUTIONS or not suite.isalnum():
        raise InvalidConfig(f"{release!r} is not a Debian release such as debian:bookworm.")
    if shutil.which("mmdebstrap") is None:
        raise Unavailable("mmdebstrap is not installed: it makes images from Debian packages.")
    command = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar"]
    if included := ",".join(packages):
        command.append(f"--include={included}")
    execution = Execution(env=[_PATH], cmd=["/bin/sh"])
    archive = _output([*command, suite, "-"], epoch_seconds)
    return _image(store, archive, names, execution, f"mmdebstrap {suite}", epoch_seconds)


def _image(
    store: Store,
    archive: Iterable[bytes],
    names: list[str],
    execution: Execution | None,
    comment: str,
    epoch_seconds: int | None = None,
) -> Image:
    seconds = time.time() if epoch_seconds is None else epoch_seconds
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    platform = host_platform()
    with store.lease() as lease:
        layer = assembly.add_layer(store, lease, archive)
        assembly.unpack_layer(store, lease, layer)
        config = Config(
            platform.architecture,
            platform.os,
            RootFs("layers", [layer.diff_id]),
            execution,
            created,
            variant=platform.variant,
            history=[History(created, comment=comment)],
        )
        return assembly.add_image(store, lease, config, [layer.blob], names)


def _decompressed(file: IO[bytes]) -> Iterator[bytes]:
    head = file.read(_PIECE_BYTES)

    def pieces() -> Iterator[bytes]:
        yield head
        while piece := file.read(_PIECE_BYTES):
            yield piece

    yield from compression.inflate(pieces(), compression.compression_of(head))


def _checked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces. Raise InvalidConfig if the first is not the head of an archive."""
    first = next(pieces, b"")
    if not first or next(iter(TarReader(_Head(first).read)), None) is None:
        raise InvalidConfig("The file is not a tar archive of a root file system.")
    yield first
    yield from pieces


class _Head:
    """Reads the first header from the first piece of an archive."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size_bytes: int) -> bytes:
        """Return at most `size_bytes` bytes."""
        piece, self._content = self._content[:size_bytes], self._content[size_bytes:]
        return piece


def _output(command: list[str], epoch_seconds: int | None) -> Iterator[bytes]:
    """Yield the output of a program. Raise Unavailable with its last line if it fails."""
    environment = dict(os.environ)
    if epoch_seconds is not None:
        environment["SOURCE_DATE_EPOCH"] = str(epoch_seconds)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout and process.stderr
        while piece := process.stdout.read(_PIECE_BYTES):
            yield piece
        words = process.stderr.read().decode("utf-8", "replace").strip()
    if process.returncode != 0:
        last = words.splitlines()[-1] if words else f"exit code {process.returncode}"
        raise Unavailable(f"{command[0]} failed: {last}.")
