"""Take a file from a path or a URL, and hold it against its checksum on the way."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, TYPE_CHECKING

from vms.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable

_URL = re.compile(r"(https?|file)://")
_LENGTHS = {64: "sha256", 128: "sha512"}
_BLOCK_BYTES = 1 << 20
_SILENCE_SECONDS = 60.0
_TOLD_EVERY_BYTES = 64 << 20


def take(
    source: str, destination: Path, checksum: str | None, progress: Callable[[str], None]
) -> None:
    """Copy the source there. `checksum` is a SHA-256 or SHA-512 in hexadecimal; a URL needs one.

    Raises MachineError, and then `destination` is not to be used.
    """
    algorithm, expected = _parsed(checksum)
    if not _URL.match(source):
        source_path = Path(source)
        if not source_path.is_file():
            raise MachineError(f"There is no file {source}.")
        with source_path.open("rb") as file:
            found = _copy(file, destination, algorithm, lambda _: None)
    else:
        if expected is None:
            raise MachineError(f"What comes from {source} needs a checksum: --checksum sha256:….")
        found = _fetch(source, destination, algorithm, progress)
    if expected is not None and found != expected:
        raise MachineError(
            f"{source} is not what its checksum says: {algorithm} is {found}, not {expected}."
        )


def _fetch(url: str, destination: Path, algorithm: str, progress: Callable[[str], None]) -> str:
    try:
        with urllib.request.urlopen(url, timeout=_SILENCE_SECONDS) as answer:
            whole = answer.length
            return _copy(
                answer, destination, algorithm, lambda got: progress(_told(url, got, whole))
            )
    except urllib.error.HTTPError as error:
        raise MachineError(f"Can't fetch {url}: {error.code} {error.reason}.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise MachineError(f"Can't fetch {url}: {reason}: try again.") from error


def _copy(source: IO[bytes], destination: Path, algorithm: str, got: Callable[[int], None]) -> str:
    """Copy it all; its digest. Runs of zeros become holes."""
    digest = hashlib.new(algorithm)
    taken = told = 0
    with destination.open("xb") as file:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
            if block.count(0) == len(block):
                file.seek(len(block), 1)
            else:
                file.write(block)
            taken += len(block)
            if taken - told >= _TOLD_EVERY_BYTES:
                told = taken
                got(taken)
        file.truncate(taken)
    return digest.hexdigest()


def _parsed(checksum: str | None) -> tuple[str, str | None]:
    """The algorithm and the digest; named by a prefix, or told by its length."""
    if checksum is None:
        return "sha256", None
    name, _, digest = checksum.rpartition(":")
    algorithm = _LENGTHS.get(len(digest))
    if algorithm is None or name not in {"", algorithm} or not re.fullmatch("[0-9a-fA-F]+", digest):
        raise MachineError(f"{checksum!r} is no checksum: sha256: or sha512: and its digits.")
    return algorithm, digest.lower()


def _told(url: str, got: int, whole: int | None) -> str:
    of = f" of {whole >> 20}" if whole else ""
    return f"fetching {url}: {got >> 20}{of} MiB"
