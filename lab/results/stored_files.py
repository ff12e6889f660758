"""Files that are kept: JSON documents and CSV tables, whole or said to be torn.

A document is built aside, synced and renamed, so that it is whole or not there. A table is
appended to, so that a host that loses power leaves a last line that is torn, or zeros after it: the
lines before it are read all the same.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_DIGITS = 300  # a number with more can't be a float
_LONGEST_FIELD = 1 << 24


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write the document, or leave what was there. Raise OSError."""
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
    """Return the object that the file holds.

    Raise FileNotFoundError, and LabError if it is torn, holds something else, or a number that is
    none: NaN, Infinity, or one that no float can hold.
    """
    try:
        document = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise LabError(f"{path} is corrupt: {error}.") from error
    if not isinstance(document, dict):
        raise LabError(f"{path} is corrupt: it holds no JSON object.")
    return document


def parse_json(text: str) -> Any:
    """Return what a JSON text holds. Raise ValueError, also for a number that is not finite."""
    return json.loads(text, parse_constant=_refuse, parse_float=_float, parse_int=_int)


def read_rows(path: Path) -> tuple[list[str], list[list[str]], str]:
    """Return a table's heading, its whole rows, and a sentence if the last line is torn.

    A last line that does not end is torn, however many fields it has. Raise LabError for a file
    that can't be read, and if a line in its midst has not the heading's number of fields.
    """
    try:
        content = path.read_bytes()
        text = content.rstrip(b"\0").decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise LabError(f"{path} can't be read: {error.strerror}.") from error
    ends = text.endswith(("\n", "\r"))
    try:
        records = list(_records(text))
    except csv.Error as error:
        raise LabError(f"{path} is corrupt: {error}.") from error
    if not records:
        raise LabError(f"{path} is corrupt: it is empty.")
    (_, heading), *rows = records
    torn = ""
    if rows and (not ends or len(rows[-1][1]) != len(heading)):
        line, _ = rows.pop()
        torn = f"line {line} of {path.name}, its last, is torn and left out"
    elif content.endswith(b"\0"):
        torn = f"{path.name} ends in zeros, where lines were lost"
    for line, row in rows:
        if len(row) != len(heading):
            raise LabError(
                f"{path} is corrupt: line {line} has {len(row)} fields, not {len(heading)}."
            )
    return heading, [row for _, row in rows], torn


def _records(text: str) -> Iterator[tuple[int, list[str]]]:
    """Return each record with the number of its first line, one that a quote leaves open too."""
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""))
    begin = 1
    for record in reader:
        if record:
            yield begin, record
        begin = reader.line_num + 1


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _float(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{text[:20]} is larger than any number that can be held")
    return value


def _int(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits is larger than any that can be held")
    return int(text)
