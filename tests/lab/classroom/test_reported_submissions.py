"""Submissions as bug reports of other graders describe them, each as a small input."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from lab.classroom import answers, collection, notebook
from lab.errors import InvalidConfig
from lab.results import run_folder

COMMITTED = Path(__file__).parents[3] / "results/2026-11-29-vm"
FIRST = 'questions.check(1, "A")'


def cell(source: Any, **other: Any) -> dict[str, Any]:
    return {
        "cell_type": "code", "id": "x", "metadata": {}, "outputs": [], "execution_count": None,
        "source": source, **other,
    }  # fmt: skip


def document(*cells: Any, **other: Any) -> dict[str, Any]:
    return {"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **other}


def read(tmp_path: Path, content: dict[str, Any], encoding: str = "utf-8") -> dict[int, object]:
    path = tmp_path / "near-native.ipynb"
    path.write_bytes(json.dumps(content).encode(encoding))
    return answers.read(path).answers


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_of_json_is_read(tmp_path: Path, encoding: str) -> None:
    """jupytext 191 (a byte order mark), nbdime 506 (UTF-16)."""
    assert read(tmp_path, document(cell(FIRST)), encoding) == {1: "A"}
    assert notebook.read(tmp_path / "near-native.ipynb").cells[0].source == FIRST


@pytest.mark.parametrize(
    "source",
    [
        "%%time\n" + FIRST,  # otter-grader 604
        "if True:\n    %matplotlib inline\n    " + FIRST,  # nbQA 233
        'questions.check(\n    1,\n    "A",\n)',  # otter-grader 590
        "questions?\n" + FIRST,
        [None, FIRST],
    ],
)
def test_an_answer_in_an_odd_cell_is_read(tmp_path: Path, source: Any) -> None:
    assert read(tmp_path, document(cell(source))) == {1: "A"}


@pytest.mark.parametrize("magic", ["%%bash", "%%writefile answers.py", "%%inside", "\n%%html"])
def test_a_cell_of_another_program_holds_no_answers(tmp_path: Path, magic: str) -> None:
    assert read(tmp_path, document(cell(f"{magic}\n{FIRST}"))) == {}


@pytest.mark.parametrize(
    "source",
    ["for number in (1, 2):\n    questions.check(number, 'A')", "questions.check(*[1, 'A'])",
     "questions.check(**{'number': 1, 'answer': 'A'})"],
)  # fmt: skip
def test_a_question_that_is_not_known_by_its_number_is_remarked_on(
    tmp_path: Path, source: str
) -> None:
    path = tmp_path / "near-native.ipynb"
    path.write_text(json.dumps(document(cell(source))))
    assert any("computes its question's number" in each for each in answers.read(path).remarks)
    path.write_text(json.dumps(document(cell("grader.check('q1')\nquestions.check(2)"))))
    assert not any("computes" in each for each in answers.read(path).remarks)


def test_a_copied_cell_without_an_answer_takes_none_away(tmp_path: Path) -> None:
    """nbgrader 1083 and 108: students copy cells, with their ids."""
    copied = cell("questions.check(1, answer=None)")
    assert read(tmp_path, document(cell(FIRST), copied)) == {1: "A"}


@pytest.mark.parametrize(
    "change",
    [
        "(a := 'B')", "a += 'B'", "for a in 'BC': pass", "del a", "import b as a", "a, b = 'BC'",
        "with open('x') as a: pass", "x = (a := 'B')", "def a(): pass", "a = input()",
        "if True:\n    a = 'B'",
    ],
)  # fmt: skip
def test_a_name_that_was_given_another_value_is_no_answer(tmp_path: Path, change: str) -> None:
    cells = [cell("a = 'A'"), cell(change), cell("questions.check(1, a)")]
    assert read(tmp_path, document(*cells)) == {}


@pytest.mark.parametrize("other", ["def f(a):\n    a = 1", "[a for a in 'BC']", "b = a", "a = a"])
def test_a_name_of_another_scope_changes_nothing(tmp_path: Path, other: str) -> None:
    cells = [cell("a = 'A'"), cell(other), cell("questions.check(1, a)")]
    assert read(tmp_path, document(*cells)) == {1: "A"}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(document({**cell(FIRST), "metadata": None})),  # papermill 637
        json.dumps(document(None, 5)),
        '{"cells": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_what_is_no_notebook_is_refused_as_a_source(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.ipynb"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match="is not a notebook"):
        notebook.read(path)


def test_a_notebook_without_metadata_is_a_source(tmp_path: Path) -> None:
    """papermill 571 and 735: no format, no kernelspec, no tags."""
    path = tmp_path / "odd.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": FIRST}]}))
    run = run_folder.load(COMMITTED)
    source = notebook.read(path)
    made = notebook.version(source, notebook.name_of(path, source), run, "2026-017")
    assert made.metadata["tonnage"]["student"] == "2026-017"


def test_a_folder_that_cannot_be_read_costs_no_other_submission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """jupyter_server 495 and notebook 4471: what is not accessible hid all that lay beside it."""
    for student in ("a", "b", "c"):
        (tmp_path / student).mkdir()
        path = tmp_path / student / "near-native.ipynb"
        path.write_text(json.dumps(document(cell(FIRST))))
    (tmp_path / "c" / "link.ipynb").symlink_to(tmp_path / "a" / "near-native.ipynb")
    # Root, who may run this, is denied nothing: so the two calls are.
    deny(monkeypatch, os, "scandir", tmp_path / "a")
    deny(monkeypatch, Path, "lstat", tmp_path / "b" / "near-native.ipynb")
    collected = collection.collect(tmp_path, run_folder.load(COMMITTED))
    assert list(collected.reports) == ["c"]
    assert sorted(collected.unusable) == [
        ("a", "Can't read a: Permission denied."),
        ("b/near-native.ipynb", "Can't read b/near-native.ipynb: Permission denied."),
        ("c/link.ipynb", "It is a link or a special file: put a copy of the notebook there."),
    ]


def deny(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, denied: Path) -> None:
    """Make a function fail for one path, as the kernel does without the permission."""
    real = getattr(owner, name)

    def call(path: Any, *others: Any) -> Any:
        if Path(path) == denied:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(denied))
        return real(path, *others)

    monkeypatch.setattr(owner, name, call)
