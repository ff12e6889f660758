"""Students' IDs: what is refused, and names of folders that never leave their folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.classroom import students
from lab.errors import AlreadyExists, InvalidConfig, NotFound

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("student", "name"),
    [
        ("2026-017", "2026-017"),
        ("张三", "张三"),
        ("a b", "a%20b"),
        ("../x", "%2E.%2Fx"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a/b\\c", "a%2Fb%5Cc"),
        ("50%", "50%25"),
    ],
)
def test_a_folder_is_named_safely(student: str, name: str) -> None:
    assert students.folder_name(student) == name


@pytest.mark.parametrize("student", ["", "  ", "a\nb", "a\0b", "x" * 61, "\u202eabc", "\udcff"])
def test_an_unusable_id_is_refused(student: str) -> None:
    with pytest.raises(InvalidConfig):
        students.checked(student)


def test_a_list_is_read_from_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    path.write_text("\ufeff2026-001,Li\n\n# a comment\n张三\tx\r\n'o', y\n", encoding="utf-8")
    assert students.read(path) == ["2026-001", "张三", "'o'"]


def test_a_duplicate_is_named_with_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    path.write_text("é\nb\ne\u0301\n", encoding="utf-8")
    with pytest.raises(AlreadyExists, match="line 3: é is in line 1"):
        students.read(path)


def test_lists_that_can_not_be_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    with pytest.raises(NotFound):
        students.read(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidConfig, match="UTF-8"):
        students.read(path)
    path.write_text('a\n"b\nc"\n')
    with pytest.raises(InvalidConfig, match="line 2: A quote is not closed"):
        students.read(path)
    path.write_text("# nobody\n")
    with pytest.raises(InvalidConfig, match="no students"):
        students.read(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("学号,姓名\n2026,王\n", ["2026"]),
        ("ID;Name\n1;Müller\n2;O'Neil\n", ["1", "2"]),
        ('"Doe, John",5\n"say ""x""";6\n', ["Doe, John", 'say "x"']),
        ("1\nid\n", ["1", "id"]),
        ("\n# 2026\nID\n1\n", ["1"]),
        ("sep=;\r\nSIS User ID;x\r\n1;y\r\n", ["1"]),
        ("Email address,ID number\na@b.c,1\n", ["a@b.c"]),
    ],
)
def test_a_list_is_read_as_spreadsheets_write_it(
    tmp_path: Path, text: str, found: list[str]
) -> None:
    path = tmp_path / "class.csv"
    path.write_text(text, encoding="utf-8")
    assert students.read(path) == found


def test_a_list_of_a_heading_alone_has_no_students(tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    path.write_text("ID;Name\n", encoding="utf-8")
    with pytest.raises(InvalidConfig, match="has no students"):
        students.read(path)


@pytest.mark.parametrize("student", ["😀" * 60, "·" * 41])
def test_an_id_is_refused_whose_folder_no_file_system_could_name(student: str) -> None:
    with pytest.raises(InvalidConfig, match="too long for a folder's name"):
        students.checked(student)


@pytest.mark.parametrize("student", ["王" * 60, "·" * 40])
def test_the_longest_ids_have_folders(tmp_path: Path, student: str) -> None:
    (tmp_path / students.folder_name(student)).mkdir()
