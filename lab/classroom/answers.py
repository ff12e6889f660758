"""The answers in a submitted notebook, read without running any of it.

Only literals count: `questions.check(2, "4.4 ms")`, or a name that a cell before has assigned a
literal. A later answer to a question replaces an earlier one.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.classroom import students
from lab.classroom.notebook import METADATA, named_in, syntax_tree
from lab.errors import InvalidConfig
from lab.language.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST_BYTES = 50 << 20
_LONGEST_CELL = 200_000
_MOST_VALUES = 1000
_CELL_MAGIC = re.compile(r"\s*%%(\w+)")
_PYTHON_MAGICS = frozenset({"capture", "debug", "prun", "time", "timeit"})
_UNPARSED = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(slots=True)
class Submission:
    """A notebook as submitted; student and notebook are empty where it does not say.

    `answers` holds the literal of each question that has one. `remarks` are for the teacher.
    """

    path: Path
    student: str = ""
    notebook: str = ""
    run: str = ""
    is_teachers: bool = False
    answers: dict[int, object] = field(default_factory=dict)
    remarks: list[Message] = field(default_factory=list)


def read(path: Path) -> Submission:
    """Return what a file holds. Raise InvalidConfig if it is not a notebook."""
    submission = Submission(path)
    document = _document(path)
    metadata = document.get("metadata")
    own = metadata.get(METADATA) if isinstance(metadata, dict) else None
    if isinstance(own, dict):
        submission.student = _text(own.get("student"))
        submission.notebook = _text(own.get("notebook"))
        submission.run = _text(own.get("run"))
        submission.is_teachers = own.get("teacher") is True
    else:
        submission.remarks.append(Message("its metadata are lost"))
    names: dict[str, object] = {}
    for number, source in enumerate(_code(document), 1):
        tree = _parsed(source)
        if tree is None:
            submission.remarks.append(
                Message("code cell {number} is not Python: it was not read", number=number)
            )
            continue
        _read_cell(tree, names, submission)
        submission.notebook = submission.notebook or named_in(source) or ""
    return submission


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InvalidConfig(f"{path} is larger than {LARGEST_BYTES >> 20} MiB.")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise InvalidConfig(f"Can't read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidConfig(f"{path} is not a notebook: it is not JSON.") from error
    if not isinstance(document, dict):
        raise InvalidConfig(f"{path} is not a notebook: it has no cells.")
    if isinstance(document.get("worksheets"), list):  # format 3
        sheets = [each for each in document["worksheets"] if isinstance(each, dict)]
        lists = [each["cells"] for each in sheets if isinstance(each.get("cells"), list)]
        cells = [cell for each in lists for cell in each]
        document = {**document, "cells": cells}
    if not isinstance(document.get("cells"), list):
        raise InvalidConfig(f"{path} is not a notebook: it has no cells.")
    return document


def _code(document: dict[str, Any]) -> list[str]:
    """Return the sources of the code cells."""
    sources = []
    for cell in document["cells"]:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", cell.get("input", ""))
            if isinstance(source, list):
                source = "".join(line for line in source if isinstance(line, str))
            sources.append(source if isinstance(source, str) else "")
    return sources


def _parsed(source: str) -> ast.Module | None:
    """Return the syntax tree of a cell, without IPython's own lines; None if it is not Python.

    A cell for another program, such as %%bash, has no statements.
    """
    if len(source) > _LONGEST_CELL:
        return None
    magic = _CELL_MAGIC.match(source)
    if magic and magic[1] not in _PYTHON_MAGICS:
        return ast.Module([], [])
    lines = [
        "" if line.lstrip().startswith(("%", "!", "?")) or line.rstrip().endswith("?") else line
        for line in source.splitlines()
    ]
    for text in (source, "\n".join(lines)):
        if tree := syntax_tree(text):
            return tree
    found: list[ast.stmt] = []
    for line in lines:  # one broken line must not cost the answers of the others
        if ".check(" in line and (tree := syntax_tree(line.strip())):
            found += tree.body
    return ast.Module(found, []) if found else None


def _read_cell(tree: ast.Module, names: dict[str, object], submission: Submission) -> None:
    for statement in tree.body:
        before = dict(names)
        for name in _bound(statement):
            names.pop(name, None)  # by a loop, an import, +=, del …: its value is not known
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            _assign(statement, before, names, submission)
        for node in ast.walk(statement):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "check"
            ):
                _answer(node, names, submission)


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement gives another value, or deletes, where it stands."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.alias(name=name, asname=other):
            yield other or name.partition(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
            return  # what is inside has names of its own
        case ast.Lambda() | ast.comprehension():
            return
    for child in ast.iter_child_nodes(node):
        yield from _bound(child)


def _assign(
    statement: ast.Assign | ast.AnnAssign,
    before: dict[str, object],
    names: dict[str, object],
    submission: Submission,
) -> None:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    known, value = _literal(statement.value, before)
    for target in targets:
        if isinstance(target, ast.Name):
            if known:
                names[target.id] = value
        elif known and ast.unparse(target) == f"os.environ['{students.VARIABLE}']":
            _name(submission, _text(value))


def _name(submission: Submission, student: str) -> None:
    if submission.student and student != submission.student:
        submission.remarks.append(
            Message("its first cell names another student, {student}", student=student)
        )
    submission.student = submission.student or student


def _answer(call: ast.Call, names: dict[str, object], submission: Submission) -> None:
    """Keep the answer in a call of `check`, if its number and answer are literals."""
    given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    first = call.args[0] if call.args else given.get("number")
    second = call.args[1] if len(call.args) > 1 else given.get("answer")
    is_number, number = _literal(first, names)
    if not is_number or len(given) < len(call.keywords):  # `**` hides it, too
        submission.remarks.append(
            Message("a call of check computes its question's number: write the number instead")
        )
    if not is_number or isinstance(number, bool) or not isinstance(number, int):
        return
    is_known, answer = _literal(second, names)
    if is_known and answer is not None:
        submission.answers[number] = answer
    elif not is_known and second is not None:
        submission.remarks.append(
            Message(
                "the answer to question {number} is computed: write its value instead",
                number=number,
            )
        )


def _literal(node: ast.expr | None, names: dict[str, object]) -> tuple[bool, object]:
    """Return True and the value of a literal or of a name for one; False for another expression."""
    if node is None:
        return True, None
    if isinstance(node, ast.Name):
        return node.id in names, names.get(node.id)
    try:
        if sum(1 for _ in ast.walk(node)) > _MOST_VALUES:
            return False, None
        value = ast.literal_eval(node)
        repr(value)  # an integer of thousands of digits can't be shown
    except (*_UNPARSED, TypeError):
        return False, None
    return True, value


def _text(value: object) -> str:
    return unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else ""
