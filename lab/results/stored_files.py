"""JSON documents and CSV tables on disk: how they are written, and read after a crash.

A document is written to a temporary file, synced and renamed, so that it is complete or absent. A
table is appended to: a host that loses power leaves a torn last line, or zeros after it. The lines
before it can still be read.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
from typing import TYPE_CHECKING, Any

from lab.errors import InvalidRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_DIGITS = 300  # no float has more before its point
_LONGEST_FIELD = 1 << 24


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write the document, or leave the previous file unchanged. Raise OSError."""
    aside = path.with_name(f".{path.name}.new")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raise FileNotFoundError, and InvalidRun if the file is torn, is not a JSON object, or has a
    number that is not finite or too large for a float.
    """
    try:
        document = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidRun(f"{path} is corrupt: {error}.") from error
    if not isinstance(document, dict):
        raise InvalidRun(f"{path} is corrupt: it is not a JSON object.")
    return document


def parse_json(text: str) -> Any:
    """Return the value of a JSON text. Raise ValueError, also for a number that is not finite."""
    return json.loads(text, parse_constant=_refuse, parse_float=_float, parse_int=_int)


def read_rows(path: Path) -> tuple[list[str], list[list[str]], str]:
    """Return a table's heading, its complete rows, and a sentence if the last line is torn.

    A last line without a line end is torn, however many fields it has. Raise InvalidRun if the file
    can't be read, or if another line has more or fewer fields than the heading.
    """
    try:
        content = path.read_bytes()
        text = content.rstrip(b"\0").decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise InvalidRun(f"{path} can't be read: {error.strerror}.") from error
    ends = text.endswith(("\n", "\r"))
    try:
        records = list(_records(text))
    except csv.Error as error:
        raise InvalidRun(f"{path} is corrupt: {error}.") from error
    if not records:
        raise InvalidRun(f"{path} is corrupt: it is empty.")
    (_, heading), *rows = records
    torn = ""
    if rows and (not ends or len(rows[-1][1]) != len(heading)):
        line, _ = rows.pop()
        torn = f"line {line} of {path.name}, the last one, is torn and ignored"
    elif content.endswith(b"\0"):
        torn = f"{path.name} ends in zero bytes: its last lines were lost"
    for line, row in rows:
        if len(row) != len(heading):
            raise InvalidRun(
                f"{path} is corrupt: line {line} has {len(row)} fields, not {len(heading)}."
            )
    return heading, [row for _, row in rows], torn


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each record with the number of its first line; quoted records span several lines."""
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""))
    begin = 1
    for record in reader:
        if record:
            yield begin, record
        begin = reader.line_num + 1


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not a finite number")


def _float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is larger than any floating-point number")
    return value


def _int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is larger than any floating-point number")
    return int(text)
