"""Text files of other tools, plain or compressed with gzip, read line by line in bounded memory."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lab.errors import InvalidConfig, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.planning.readers.records import BrokenLines

T = TypeVar("T")
_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ANSI = "lab-windows-1252"
_LONGEST_LINE = 1 << 20
_LARGEST_DOCUMENT = 1 << 30
_CHUNK = 1 << 20


def path_of(source: str) -> Path:
    """Return the path of a source. Raise NotFound if nothing is there."""
    path = Path(source)
    try:
        exists = path.exists()
    except OSError as error:  # a folder that may not be entered, or a name that is too long
        raise _unreadable(path, error) from error
    if not exists:
        raise NotFound(f"There is no file {path}.")
    return path


def require_rereadable(path: Path) -> None:
    """Raise InvalidConfig for a pipe, of which a second reading would find nothing."""
    if not (path.is_file() or path.is_dir()):
        raise InvalidConfig(
            f"{path} is a pipe or a device, and it is read more than once: save it as a file."
        )


def json_document(path: Path, form: type[T], expected: str) -> T:
    """Return the JSON document of a file. Raise InvalidConfig if it has another form.

    `expected` names the document for the message. PowerShell writes UTF-16, or a byte order mark.
    """
    import msgspec

    content = _content(path)
    encoding = _encoding(bytes(content[:3]))
    try:
        text = content if encoding == "utf-8" else content.decode(encoding)
        return msgspec.json.decode(text, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidConfig(f"{path} is not {expected}: {error}.") from error


def lines(path: Path, broken: BrokenLines) -> Iterator[str]:
    """Yield the lines with their ends. Compressed data that is cut off ends them as a broken line.

    What is not UTF-8 in a file of that encoding is read as Windows-1252, in which Excel saves CSV.
    Raise InvalidConfig if the file can't be read, or if a line is too long for text.
    """
    number = 0
    try:
        with _opened(path) as file:
            encoding = _encoding(file.peek(3)[:3])
            errors = _ANSI if encoding.startswith("utf-8") else "replace"
            text = io.TextIOWrapper(file, encoding, errors=errors, newline="")
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

    With `quoted`, a field in double quotes may contain delimiters and ends of lines. A quote that
    is not closed breaks all lines up to the end of the file, or to the next quote.
    """
    reader = csv.reader(
        lines(path, broken),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            last = f" up to line {reader.line_num}" if reader.line_num > number else ""
            broken.add(number, f"it is no row of a table{last}: {error}")
            continue
        if any(row):
            yield number, row


def tables(source: str, names: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    """Yield the files of a trace, each with the table that it belongs to, in the tables' order.

    A folder has a table as NAME.csv, or as parts in a folder of that name; either may be compressed
    (.gz). A single file belongs to the table that its name or its folder begins with, or else to
    the first. Raise InvalidConfig for a folder that has none of the tables.
    """
    path = path_of(source)
    if not path.is_dir():
        named = (each for each in names if path.name.startswith(each) or path.parent.name == each)
        yield next(named, names[0]), path
        return
    found = False
    for name in names:
        files = [each for end in (".csv", ".csv.gz") if (each := path / f"{name}{end}").exists()]
        folder = path if path.name == name else path / name
        for file in files[:1] or sorted(folder.glob("part-*.csv*")):
            found = True
            yield name, file
    if not found:
        raise InvalidConfig(f"{path} has neither of the tables {' and '.join(names)}.")


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


@contextmanager
def _opened(path: Path) -> Iterator[gzip.GzipFile | io.BufferedReader]:
    """Yield the file open for reading, decompressed if it is compressed; it may be a pipe."""
    with path.open("rb") as file:
        if file.peek(2)[:2] != _GZIP:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield unpacked


def _encoding(start: bytes) -> str:
    """Return the encoding of a text by its first bytes: UTF-16 is known without a mark, too."""
    if start[:2] in _UTF16:
        return "utf-16"
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if len(start) > 1 and (start[0] == 0) != (start[1] == 0):
        return "utf-16-be" if start[0] == 0 else "utf-16-le"
    return "utf-8"


def _windows_1252(error: UnicodeError) -> tuple[str, int]:
    """Return the text of bytes that are not UTF-8, and where it goes on."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_ANSI, _windows_1252)


def _unreadable(path: Path, error: Exception) -> InvalidConfig:
    why = error.strerror if isinstance(error, OSError) else None
    return InvalidConfig(f"Can't read {path}: {why or error}.")


def _refuse_endless(path: Path, number: int, line: str) -> None:
    """Raise InvalidConfig for a line that is too long for text."""
    if len(line) >= _LONGEST_LINE:
        raise InvalidConfig(f"{path} is not text: line {number} has no end.")
