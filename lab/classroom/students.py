"""Students' IDs: checked, read from a list, and turned into names of folders."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from lab.errors import AlreadyExists, InvalidConfig, NotFound

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "TONNAGE_STUDENT"
_LONGEST = 60
_LONGEST_NAME_BYTES = 240  # of the 255 that file systems allow; a file's name has more behind it
_PLAIN = "-_."
_QUOTED = re.compile(r'\s*"((?:[^"]|"")*)"')
_HEADINGS = {
    "id", "student", "student id", "student_id", "studentid", "student number", "username",
    "student no.", "id number", "user id", "userid", "user name", "login", "login id", "email",
    "email address", "e-mail", "sis user id", "sis login id", "orgdefinedid",
    "学号", "学生", "学生编号", "学生学号", "用户名", "邮箱",
}  # fmt: skip


def checked(student: str) -> str:
    """Return the ID in its normal form (NFC, without blanks at its ends).

    Raise InvalidConfig for one that is empty, too long or not printable.
    """
    normal = unicodedata.normalize("NFC", student).strip()
    if not normal:
        raise InvalidConfig("A student's ID is empty: write one, such as 2026-017.")
    if len(normal) > _LONGEST:
        raise InvalidConfig(
            f"The ID {normal[:20]}… has {len(normal)} characters: at most {_LONGEST} are allowed."
        )
    if not normal.isprintable():
        raise InvalidConfig(f"The ID {normal!r} has a character that can't be printed.")
    if len(_encoded(normal).encode()) > _LONGEST_NAME_BYTES:
        raise InvalidConfig(f"The ID {normal[:20]}… is too long for a folder's name: shorten it.")
    return normal


def folder_name(student: str) -> str:
    """Return the name of the student's folder or file, different for each ID.

    Letters and digits of every script stay; other characters become %XX, as in a URL. No name
    begins with a dot, so none is hidden, "." or "..".
    """
    return _encoded(checked(student))


def _encoded(normal: str) -> str:
    name = "".join(
        letter
        if letter.isalnum() or letter in _PLAIN
        else "".join(f"%{byte:02X}" for byte in letter.encode())
        for letter in normal
    )
    return f"%2E{name[1:]}" if name.startswith(".") else name


def read(path: Path) -> list[str]:
    """Return the IDs in a file: the first column of each line.

    Columns end with a comma, a semicolon or a tab, as spreadsheets write them. "#" begins a
    comment. The first of the others that is a heading, such as "ID" or "学号", is no student, and
    "sep=;", with which spreadsheets begin a file, is neither.

    Raise NotFound, InvalidConfig for a line that is no ID, AlreadyExists for one that is twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise NotFound(f"Can't read the students in {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidConfig(f"{path} is not UTF-8: save the list as UTF-8.") from error
    found: dict[str, int] = {}
    is_first = True
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = _first_column(line)
            if not words or (number == 1 and line.lower().startswith("sep=")):
                continue
            was_first, is_first = is_first, False
            if was_first and words.lower() in _HEADINGS:
                continue
            student = checked(words)
        except InvalidConfig as error:
            raise InvalidConfig(f"{path}, line {number}: {error}") from error
        if student in found:
            raise AlreadyExists(
                f"{path}, line {number}: {student} is in line {found[student]} already."
            )
        found[student] = number
    if not found:
        raise InvalidConfig(f"{path} has no students: write one ID a line.")
    return list(found)


def _first_column(line: str) -> str:
    """Return the text of the first column. Raise InvalidConfig for a quote that is not closed."""
    if quoted := _QUOTED.match(line):
        return quoted[1].replace('""', '"').strip()
    if line.lstrip().startswith('"'):
        raise InvalidConfig("A quote is not closed: write each ID on one line.")
    return re.split(r"[#,;\t]", line, maxsplit=1)[0].strip()
