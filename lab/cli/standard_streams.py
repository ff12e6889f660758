"""Robust standard streams, whatever descriptors and encoding the command was started with.

A closed descriptor would otherwise be reused by the next file that is opened. A write to a full
disk, or of a character that the terminal's encoding lacks, would end in a traceback.
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
# Replacements for characters of tables and sentences that ISO 8859 or ASCII lack.
_REPLACEMENTS = {"×": "x", "−": "-", "–": "-", "—": "-", "…": "...", "µ": "u", "·": "-", "→": "->",
            "≥": ">=", "≤": "<=", "±": "+-", "“": '"', "”": '"', "’": "'"}  # fmt: skip


class OutputError(LabError):
    """Standard output can't be written."""


class OutputClosed(OutputError):
    """The reader of standard output, such as `head`, has closed it."""


class _Output(io.FileIO):
    """Standard output that raises OutputError."""

    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data) or 0
        except BrokenPipeError as error:
            raise OutputClosed("The reader of standard output has closed it.") from error
        except OSError as error:
            raise OutputError(f"Can't write to standard output: {error.strerror}.") from error


class _Diagnostics(io.FileIO):
    """Standard error that drops text it can't write, since there is no other place to report it."""

    def write(self, data: Buffer, /) -> int:
        with suppress(OSError):
            return super().write(data) or 0
        return memoryview(data).nbytes


def prepare() -> None:
    """Open closed descriptors among 0 to 2, and replace `sys.stdout` and `sys.stderr`.

    Reading from a standard input that was closed fails, as does writing to such a standard output.
    A standard error that was closed discards everything.
    """
    for descriptor, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            os.open(os.devnull, flags)  # gets the lowest free number, which is this descriptor
    codecs.register_error(PLAIN, _replace)
    if not os.environ.get("COLUMNS", "").strip("0"):  # no width: rich would print nothing
        os.environ.pop("COLUMNS", None)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _stream(_Output(1, "w", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _stream(_Diagnostics(2, "w", closefd=False), sys.stderr)


def discard_output() -> None:
    """Discard all further standard output."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.close(descriptor)


def print_json(document: object, indent: int | None = None) -> None:
    """Print a JSON document, with escapes if the output's encoding is not Unicode."""
    is_unicode = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    print(json.dumps(document, indent=indent, ensure_ascii=not is_unicode))


def _stream(raw: io.FileIO, original: object) -> io.TextIOWrapper:
    """Return a text stream that replaces Python's own, in the same encoding.

    It is line-buffered on a terminal and on standard error.
    """
    encoding = getattr(original, "encoding", None) or locale.getencoding()
    is_interactive = raw.fileno() == 2 or raw.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors=PLAIN, line_buffering=is_interactive
    )


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that the encoding lacks by similar ones, else by a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_REPLACEMENTS.get(character, "?") for character in missing), error.end
