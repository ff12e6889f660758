"""Text files of other tools, plain or compressed with gzip, read line by line in bounded memory."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lab.errors import InvalidConfig, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.planning.readers.records import BrokenLines

T = TypeVar("T")
_GZIP = b"\x1f\x8b"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_LONGEST_LINE = 1 << 20
_LARGEST_DOCUMENT = 1 << 30
_CHUNK = 1 << 20


def path_of(source: str) -> Path:
    """Return the path of a source. Raise NotFound if nothing is there."""
    path = Path(source)
    if not path.exists():
        raise NotFound(f"There is no file {path}.")
    return path


def json_document(path: Path, form: type[T], expected: str) -> T:
    """Return the JSON document of a file. Raise InvalidConfig if it has another form.

    `expected` names the document for the message.
    """
    import msgspec

    try:
        return msgspec.json.decode(_content(path), type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidConfig(f"{path} is not {expected}: {error}.") from error


def lines(path: Path, broken: BrokenLines) -> Iterator[str]:
    """Yield the lines with their ends. Compressed data that is cut off ends them as a broken line.

    Raise InvalidConfig if the file can't be read, or if a line is too long for text.
    """
    number = 0
    try:
        with _opened(path) as file:
            encoding = "utf-16" if file.peek(2)[:2] in _UTF16 else "utf-8-sig"
            text = io.TextIOWrapper(file, encoding, errors="replace", newline="")
            while line := text.readline(_LONGEST_LINE):
                number += 1
                _refuse_endless(path, number, line)
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        broken.add(number + 1, "the compressed data is cut off or damaged here")
    except OSError as error:
        raise _unreadable(path, error) from error


def rows(
    path: Path, broken: BrokenLines, *, delimiter: str = ",", quoted: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table with the number of their first line; skip empty lines.

    With `quoted`, a field in double quotes may contain delimiters and ends of lines.
    """
    reader = csv.reader(
        lines(path, broken),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
    )
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            broken.add(number, f"it is no row of a table: {error}")
            continue
        if any(row):
            yield number, row


def tables(source: str, names: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Yield the files of a trace, each with the table that it belongs to, in the tables' order.

    A folder has a table as NAME.csv, or as parts in a folder of that name; either may be compressed
    (.gz). A single file belongs to the table that its name or its folder begins with, or else to
    the first.
    """
    path = path_of(source)
    if path.is_file():
        named = (each for each in names if path.name.startswith(each) or path.parent.name == each)
        yield next(named, names[0]), path
        return
    for name in names:
        files = [each for end in (".csv", ".csv.gz") if (each := path / f"{name}{end}").exists()]
        folder = path if path.name == name else path / name
        for file in files[:1] or sorted(folder.glob("part-*.csv*")):
            yield name, file


def _content(path: Path) -> bytearray:
    """Return a file's content. Raise InvalidConfig if it can't be read or is larger than a GiB."""
    content = bytearray()
    try:
        with _opened(path) as file:
            while len(content) <= _LARGEST_DOCUMENT and (chunk := file.read(_CHUNK)):
                content += chunk
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    if len(content) > _LARGEST_DOCUMENT:
        raise InvalidConfig(f"{path} is larger than 1 GiB, and it is read at once: split it.")
    return content


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """Return the file open for reading, decompressed if it is compressed."""
    file = path.open("rb")
    if file.peek(2)[:2] != _GZIP:
        return file
    file.close()
    return gzip.open(path, "rb")


def _unreadable(path: Path, error: Exception) -> InvalidConfig:
    why = error.strerror if isinstance(error, OSError) else None
    return InvalidConfig(f"Can't read {path}: {why or error}.")


def _refuse_endless(path: Path, number: int, line: str) -> None:
    """Raise InvalidConfig for a line that is too long for text."""
    if len(line) >= _LONGEST_LINE:
        raise InvalidConfig(f"{path} is not text: line {number} has no end.")
