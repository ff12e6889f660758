"""Text files: compressed, cut off, in UTF-16, without ends of lines; tables and their parts."""

from __future__ import annotations

import csv
import gzip
import os
import threading
from typing import TYPE_CHECKING

import pytest

from lab.errors import InvalidConfig, NotFound
from lab.planning.inventory import BrokenLine
from lab.planning.readers import text_files
from lab.planning.readers.records import BrokenLines

if TYPE_CHECKING:
    from pathlib import Path


def rows(path: Path, *, quoted: bool = False) -> tuple[list[tuple[int, list[str]]], BrokenLines]:
    broken = BrokenLines()
    return list(text_files.rows(path, broken, quoted=quoted)), broken


def test_rows_have_the_numbers_of_their_lines_and_empty_lines_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,"b\n\n,\nc,d\n', encoding="utf-8")
    assert rows(path)[0] == [(1, ["a", '"b']), (4, ["c", "d"])]


def test_quoted_fields_may_have_delimiters_and_ends_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,"b\nb,""b"""\nc,d\n', encoding="utf-8")
    assert rows(path, quoted=True)[0] == [(1, ["a", 'b\nb,"b"']), (3, ["c", "d"])]


def test_a_field_without_end_breaks_its_line_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "x" * 2000 + "\nc,d\n", encoding="utf-8")
    most = csv.field_size_limit(1000)  # a limit of the process, which other modules set as well
    try:
        found, broken = rows(path)
    finally:
        csv.field_size_limit(most)
    assert found == [(1, ["a", "b"]), (3, ["c", "d"])]
    assert [line.number for line in broken.lines()] == [2]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_byte_order_marks_are_no_text(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ä,b\n", encoding=encoding)
    assert rows(path)[0] == [(1, ["ä", "b"])]


def test_compressed_files_are_known_by_their_content(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(gzip.compress(b"a,b\nc,d\n"))
    assert rows(path)[0] == [(1, ["a", "b"]), (2, ["c", "d"])]


def test_compressed_data_that_is_cut_off_is_a_broken_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\nc,d\n")[:-6])
    found, broken = rows(path)
    assert found == [(1, ["a", "b"]), (2, ["c", "d"])]
    assert broken.lines() == (BrokenLine(3, "the compressed data is cut off or damaged here"),)


def test_a_file_without_ends_of_lines_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"\0" * (1 << 20))
    with pytest.raises(InvalidConfig, match=r"a.bin is not text: line 1 has no end\."):
        rows(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no file .*none\.csv\."):
        text_files.path_of(str(tmp_path / "none.csv"))
    with pytest.raises(InvalidConfig, match="Is a directory"):
        rows(tmp_path)


def test_the_files_of_a_table_are_its_own_or_its_parts(tmp_path: Path) -> None:
    names = ("task_events", "machine_events")
    (tmp_path / "task_events").mkdir()
    for number in (1, 0):
        (tmp_path / f"task_events/part-0000{number}-of-00002.csv.gz").touch()
    (tmp_path / "machine_events.csv.gz").touch()
    assert [(table, path.name) for table, path in text_files.tables(str(tmp_path), names)] == [
        ("task_events", "part-00000-of-00002.csv.gz"),
        ("task_events", "part-00001-of-00002.csv.gz"),
        ("machine_events", "machine_events.csv.gz"),
    ]
    part = tmp_path / "task_events/part-00000-of-00002.csv.gz"
    assert list(text_files.tables(str(part), names)) == [("task_events", part)]
    machines = tmp_path / "machine_events.csv.gz"
    assert list(text_files.tables(str(machines), names)) == [("machine_events", machines)]


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff\xfe\xfd"])
def test_what_is_no_json_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InvalidConfig, match=r"a\.json is not a list of things: .*\.$"):
        text_files.json_document(path, list[int], "a list of things")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_do_on_any_system(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"a,b{end}c,d{end}{end}".encode())
    assert rows(path)[0] == [(1, ["a", "b"]), (2, ["c", "d"])]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_documents_and_tables_of_windows_are_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a"
    path.write_bytes('["ä", "b"]\r\n'.encode(encoding))
    assert text_files.json_document(path, list[str], "a list") == ["ä", "b"]
    assert rows(path)[0] == [(1, ['["ä"', ' "b"]'])]


def test_what_is_not_utf_8_is_windows_1252(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("Köln,4\u00a0096\n".encode("cp1252") + "Düren,1\n".encode())
    assert rows(path)[0] == [(1, ["Köln", "4\u00a0096"]), (2, ["Düren", "1"])]


def test_a_quote_that_is_not_closed_hides_no_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\nc,"d\ne,f\ng,h\n')
    found, broken = rows(path, quoted=True)
    assert found == [(1, ["a", "b"])]
    (line,) = broken.lines()
    assert (line.number, line.reason[:41]) == (2, "it is no row of a table up to line 4: une")


def test_a_path_that_cant_be_looked_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="File name too long"):
        text_files.path_of(str(tmp_path / ("x" * 300)))


@pytest.mark.parametrize("content", [b"a,b\nc,d\n", gzip.compress(b"a,b\nc,d\n")])
def test_a_pipe_is_read_once(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(InvalidConfig, match=r"pipe is a pipe or a device, .*: save it as a file\."):
        text_files.require_rereadable(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    assert [table for table, _ in text_files.tables(str(path), ("events",))] == ["events"]
    assert rows(path)[0] == [(1, ["a", "b"]), (2, ["c", "d"])]
    writer.join()


def test_a_folder_without_the_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"has neither of the tables events and machines\."):
        list(text_files.tables(str(tmp_path), ("events", "machines")))
