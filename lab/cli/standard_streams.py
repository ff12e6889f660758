"""Standard output and error as a command can trust them, whatever it was started with.

A descriptor that is closed would be given to the next file that is opened, and a write to a full
disk or with a character that the terminal's encoding lacks would be a traceback.
"""

from __future__ import annotations

import codecs
import errno
import io
import json
import locale
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

PLAIN = "tonnage.plain"
# Characters of tables and sentences that ISO 8859 or ASCII lack, and what is read in their place.
_INSTEAD = {"×": "x", "−": "-", "–": "-", "—": "-", "…": "...", "µ": "u", "·": "-", "→": "->",
            "≥": ">=", "≤": "<=", "±": "+-", "“": '"', "”": '"', "’": "'"}  # fmt: skip


class OutputError(LabError):
    """Standard output can't be written."""


class ReaderGone(OutputError):
    """Whoever read standard output, `head` perhaps, has gone."""


class _Output(io.FileIO):
    """Standard output, whose errors are sentences."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError as error:
            raise ReaderGone("Nobody reads standard output any more.") from error
        except OSError as error:
            raise OutputError(f"Can't write to standard output: {error.strerror}.") from error


class _Diagnostics(io.FileIO):
    """Standard error; what can't be written there is dropped, since nobody can be told."""

    def write(self, data: Buffer, /) -> int:
        with suppress(OSError):
            return super().write(data) or 0
        return memoryview(data).nbytes


def prepare() -> None:
    """Make descriptors 0 to 2 open, and `sys.stdout` and `sys.stderr` write what can be written.

    Reading from an input that was closed fails, as does writing to such an output; an error stream
    that was closed takes everything.
    """
    for descriptor, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            os.open(os.devnull, flags)  # the lowest number that is free, which is this one
    codecs.register_error(PLAIN, _replace)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _stream(_Output(1, "w", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _stream(_Diagnostics(2, "w", closefd=False), sys.stderr)


def discard_output() -> None:
    """Let what is still to be written to standard output go nowhere."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.close(descriptor)


def print_json(document: object, indent: int | None = None) -> None:
    """Print a JSON document, escaped where the output's encoding is no Unicode."""
    is_unicode = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    print(json.dumps(document, indent=indent, ensure_ascii=not is_unicode))


def _stream(raw: io.FileIO, replaced: object) -> io.TextIOWrapper:
    """Return a text stream in place of one that Python made, in its encoding.

    It hands on each line where somebody reads along: on a terminal and on standard error.
    """
    encoding = getattr(replaced, "encoding", None) or locale.getencoding()
    is_read_along = raw.fileno() == 2 or raw.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=PLAIN, line_buffering=is_read_along
    )


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Replace what an encoding lacks by characters that read alike, else by a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_INSTEAD.get(character, "?") for character in lacking), error.end
