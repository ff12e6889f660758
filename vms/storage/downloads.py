"""Copies of files from a path or a URL, verified by their checksum while they are copied."""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING

from vms.errors import InvalidDescription, InvalidImage, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_URL = re.compile(r"(https?|file)://")
_ALGORITHMS = {64: "sha256", 128: "sha512"}  # by the number of hexadecimal digits
_BLOCK_BYTES = 1 << 20
_SILENCE_SECONDS = 60.0
_PROGRESS_BYTES = 64 << 20


def take(
    source: str, destination: Path, checksum: str | None, progress: Callable[[str], None]
) -> None:
    """Copy the source to a new file.

    `checksum` is a SHA-256 or SHA-512 in hexadecimal, and required for a URL. Raises MachineError;
    the destination must then not be used.
    """
    algorithm, expected = _parsed(checksum)
    if not _URL.match(source):
        source_path = Path(source)
        if not source_path.is_file():
            raise NotFound(f"There is no file {source}.")
        with source_path.open("rb") as file:
            digest = _copy(file, destination, algorithm, lambda _: None)
    else:
        if expected is None:
            raise InvalidDescription(
                f"An image from a URL needs a checksum: pass --checksum sha256:… for {source}."
            )
        digest = _fetch(source, destination, algorithm, progress)
    if expected is not None and digest != expected:
        raise InvalidImage(
            f"{source} does not match its checksum: its {algorithm} is {digest}, and not"
            f" {expected}."
        )


def _fetch(url: str, destination: Path, algorithm: str, progress: Callable[[str], None]) -> str:
    try:
        with urllib.request.urlopen(url, timeout=_SILENCE_SECONDS) as response:
            total_bytes = response.length
            return _copy(
                response,
                destination,
                algorithm,
                lambda copied: progress(_progress_line(url, copied, total_bytes)),
            )
    except urllib.error.HTTPError as error:
        kind = NotFound if error.code in {HTTPStatus.NOT_FOUND, HTTPStatus.GONE} else Unavailable
        raise kind(f"Can't fetch {url}: {error.code} {error.reason}.") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise Unavailable(f"Can't fetch {url}: {reason}: try again.") from error


def _copy(
    source: IO[bytes], destination: Path, algorithm: str, progress: Callable[[int], None]
) -> str:
    """Copy to the end and return the digest. Blocks of zeros become holes."""
    digest = hashlib.new(algorithm)
    copied = reported = 0
    with destination.open("xb") as file:
        while block := source.read(_BLOCK_BYTES):
            digest.update(block)
            if block.count(0) == len(block):
                file.seek(len(block), 1)
            else:
                file.write(block)
            copied += len(block)
            if copied - reported >= _PROGRESS_BYTES:
                reported = copied
                progress(copied)
        file.truncate(copied)
    return digest.hexdigest()


def _parsed(checksum: str | None) -> tuple[str, str | None]:
    """Return algorithm and digest; the algorithm is named by a prefix or known by the length."""
    if checksum is None:
        return "sha256", None
    name, _, digest = checksum.rpartition(":")
    algorithm = _ALGORITHMS.get(len(digest))
    if algorithm is None or name not in {"", algorithm} or not re.fullmatch("[0-9a-fA-F]+", digest):
        raise InvalidDescription(
            f"{checksum!r} is not a checksum: give sha256: or sha512: and the digest in"
            " hexadecimal."
        )
    return algorithm, digest.lower()


def _progress_line(url: str, copied: int, total_bytes: int | None) -> str:
    of = f" of {total_bytes >> 20}" if total_bytes else ""
    return f"fetching {url}: {copied >> 20}{of} MiB"
