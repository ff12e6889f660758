"""Images of one layer: from an archive of a root file system, or from Debian packages.

(docker import; mmdebstrap(1))
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterable, Iterator
from typing import IO

from runtime.errors import InvalidConfig, Unavailable
from runtime.images import archive_pipes, assembly, compression, manifest
from runtime.images.layer import Limits
from runtime.images.manifest import Config, Execution, History, RootFs
from runtime.images.store import Image, Store, host_platform
from runtime.images.tar_reader import TarReader
from runtime.spec.defaults import DEFAULT_ENVIRONMENT

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
        store,
        _checked(compression.decompressed(file)),
        names,
        execution,
        f"imported {comment}".strip(),
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
    execution = Execution(env=list(DEFAULT_ENVIRONMENT), cmd=["/bin/sh"])
    archive = _output([*command, suite, "-"], epoch_seconds)
    return _image(store, archive, names, execution, f"mmdebstrap {suite}", epoch_seconds)


def _image(
    store: Store,
    archive: Generator[bytes, None, None],
    names: list[str],
    execution: Execution | None,
    comment: str,
    epoch_seconds: int | None = None,
) -> Image:
    created = manifest.timestamp(epoch_seconds)
    platform = host_platform()
    with store.lease() as lease:
        layer = assembly.add_layer(store, lease, archive)
        lease.add(layer.diff_id)
        assembly.unpack(store, [layer.blob], [layer.diff_id], Limits())
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


def _checked(pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Yield the pieces. Raise InvalidConfig if the first is not the head of an archive."""
    first = next(pieces, b"")
    if not first or next(iter(TarReader([first])), None) is None:
        raise InvalidConfig("The file is not a tar archive of a root file system.")
    yield first
    yield from pieces


def _output(command: list[str], epoch_seconds: int | None) -> Generator[bytes, None, None]:
    """Yield the output of a program. Raise Unavailable with its last line if it fails."""
    environment = dict(os.environ)
    if epoch_seconds is not None:
        environment["SOURCE_DATE_EPOCH"] = str(epoch_seconds)
    ended = yield from archive_pipes.read(command, environment)
    if ended.exit_code != 0:
        last = ended.words.splitlines()[-1] if ended.words else f"exit code {ended.exit_code}"
        raise Unavailable(f"{command[0]} failed: {last}.")
